import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readImport } from './import.ts'

const NOW_MS = Date.UTC(2026, 4, 15, 12)

function problemsOf(text: string): readonly string[] {
  const read = readImport(text, NOW_MS)
  return read.ok ? [] : read.problems.map(({ line, message }) => `${line}: ${message}`)
}

function draftsOf(text: string) {
  const read = readImport(text, NOW_MS)
  assert.ok(read.ok, JSON.stringify(read))
  return read.drafts
}

describe('a file of transactions', () => {
  test('names its columns, in any order and by other names too', () => {
    const header = '\uFEFFDate, Symbol ,SIDE,price,quantity,fees,Exchange-Rate,note'
    const [draft] = draftsOf(`${header}\r\n2026-05-01,aapl,BUY,1.5,2,,0.9,hm`)
    assert.deepEqual(draft, {
      ...{ symbol: 'AAPL', type: 'stock', currency: null, name: null, side: 'buy', quantity: '2', price: '1.5' },
      ...{ fee: '0', executedMs: Date.UTC(2026, 4, 1), notes: 'hm', exchangeRate: '0.9', line: 2 },
    })
  })

  test('may quote its cells, with commas, quotes and line breaks in them', () => {
    const drafts = draftsOf(
      'symbol,side,quantity,price,notes\n"AAPL",buy,1,1,"a ""b"", c\r\nd"\n\n , ,,,\nMSFT,sell,"2",3,\n',
    )
    assert.deepEqual(
      drafts.map(({ symbol, notes, line }) => [symbol, notes, line]),
      [
        ['AAPL', 'a "b", c\r\nd', 2],
        ['MSFT', null, 6],
      ],
    )
  })

  test('says what kind of asset it is where the symbol does', () => {
    const token = '7'.repeat(77)
    const rows = ['BTC-USD', 'EURUSD=X', 'JPY=X', 'GC=F', token, 'BRK-B', 'SAP.DE'].map((one) => `${one},buy,1,1`)
    assert.deepEqual(
      draftsOf(['symbol,side,quantity,price', ...rows].join('\n')).map(({ type, currency }) => `${type} ${currency}`),
      ['crypto null', 'currency USD', 'currency JPY', 'commodity null', 'outcome USD', 'stock null', 'stock null'],
    )
  })

  test('is refused as a whole where its form is wrong', () => {
    for (const [text, problem] of [
      ['', '1: the file is empty'],
      ['symbol,side,quantity,price', '1: there is no transaction in the file'],
      ['symbol,side,quantity\nA,buy,1', '1: the column price is missing'],
      ['symbol,side,quantity,price,date,time\nA,buy,1,1,,', '1: a column is there twice'],
      ['symbol,side,quantity,price,colour\nA,buy,1,1,red', /^1: unknown column colour; known: symbol, side/],
      ['symbol,side,quantity,price\nA,buy,"1,1\n', '2: a quote is not closed, or is in the middle'],
      ['symbol,side,quantity,price\nA,bu"y,1,1', '2: a quote is not closed, or is in the middle'],
      [`symbol,side,quantity,price\n${'A,buy,1,1\n'.repeat(50_001)}`, '1: more than 50000 transactions in one file'],
    ] as const) {
      const [first = ''] = problemsOf(text)
      if (typeof problem === 'string') assert.equal(first, problem)
      else assert.match(first, problem)
    }
  })

  test('names every line that is wrong, and everything that is wrong with it', () => {
    const rows = [
      'AAPL,hold,-1,1e3,,',
      'AAPL,buy,1,1',
      ',buy,0,1,,',
      'AAPL,sell,1,1,2026-02-30,',
      'AAPL,sell,1,1,2026-02-30T10:00:00Z,',
      'AAPL,sell,1,1,2026-05-15T12:02:00Z,',
      'AAPL,sell,1,1,yesterday,-',
      'AAPL,sell,1,1,1969-01-01,',
      'A B,buy,1,1,,',
    ]
    const time = 'time is not one like 2026-05-01 or 2026-05-01T14:30:00Z'
    assert.deepEqual(problemsOf(['symbol,side,quantity,price,time,fee', ...rows].join('\n')), [
      '2: side is buy or sell, not hold',
      '2: quantity is not a number like 12.5: -1',
      '2: price is not a number like 12.5: 1e3',
      '3: 4 fields where the header has 6',
      '4: symbol is missing',
      '4: quantity must be above 0',
      `5: ${time}: 2026-02-30`,
      `6: ${time}: 2026-02-30T10:00:00Z`,
      '7: time is in the future: 2026-05-15T12:02:00Z',
      '8: fee is not a number like 12.5: -',
      `8: ${time}: yesterday`,
      `9: ${time}: 1969-01-01`,
      '10: symbol is not one: A B',
    ])
  })

  test('with very many mistakes is not told all of them', () => {
    const problems = problemsOf(`symbol,side,quantity,price\n${'A,buy,x,1\n'.repeat(1_000)}`)
    assert.deepEqual([problems.length, problems.at(-1)], [101, 'null: there may be more: the rest was not read'])
  })

  test('is read as it was written, whatever is in its cells, and never throws', () => {
    const cell = fc.string({ unit: fc.constantFrom(...'ab ,"\r\n;é'), maxLength: 12 })
    const quote = (text: string) => `"${text.replaceAll('"', '""')}"`
    fc.assert(
      fc.property(fc.array(cell, { minLength: 1, maxLength: 6 }), fc.constantFrom('\n', '\r\n', '\r'), (notes, end) => {
        const rows = notes.map((note) => `AAPL,buy,1,1,${quote(note)}`)
        const drafts = draftsOf(['symbol,side,quantity,price,notes', ...rows].join(end))
        assert.deepEqual(
          drafts.map((draft) => draft.notes),
          notes.map((note) => note.trim() || null),
        )
      }),
    )
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'A,"\r\nsymbol1 ') }), (text) => void problemsOf(text)))
  })
})
