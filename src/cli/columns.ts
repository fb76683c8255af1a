/** Lines of columns, each as wide as its widest cell. Widths are counted without colour. */
export function columns(rows: readonly (readonly string[])[], gap = '  '): readonly string[] {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, visibleWidth(cell))
    })
  }
  return rows.map((row) =>
    row
      .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - visibleWidth(cell)))
      .join(gap)
      .trimEnd(),
  )
}

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, 'g')

function visibleWidth(text: string): number {
  return [...text.replaceAll(COLOUR, '')].length
}
