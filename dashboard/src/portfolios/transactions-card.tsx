import type { Transactions } from '../../../src/api/contract.ts'
import { useNow, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Moment } from '../parts/facts.tsx'
import { HeldTable } from '../parts/table.tsx'
import { amount, price, shortSymbol } from '../words.ts'

const LIMIT = 200
const NUMBERS = ['Quantity', 'Price', 'Fee'] as const
const COLUMNS = ['Time', 'Asset', 'Side', ...NUMBERS.map((name) => [name, 'number'] as const)]

type Transaction = Transactions['transactions'][number]
const keyOfTransaction = ({ id }: Transaction) => id

/** What was bought and sold. */
export function TransactionsCard({ id }: { id: string }) {
  const transactions = useResource<Transactions>(`api/portfolios/${id}/transactions?limit=${LIMIT}`)
  return (
    <Card
      title="Transactions"
      of={transactions}
      empty={(data) => (data.transactions.length === 0 ? 'Nothing has been bought or sold yet.' : null)}
      aside={transactions.data?.transactions.length === LIMIT && <span className="quiet">the newest {LIMIT}</span>}
    >
      {(data) => <TransactionTable transactions={data.transactions} what={id} />}
    </Card>
  )
}

function TransactionTable({ transactions, what }: { transactions: readonly Transaction[]; what: string }) {
  const nowMs = useNow()
  return (
    <HeldTable
      name="transactions stacks"
      columns={COLUMNS}
      newest={transactions}
      keyOf={keyOfTransaction}
      what={what}
      words={['transaction', 'transactions']}
      scrolls="Transactions"
    >
      {(rows) => rows.map((one) => <TransactionRow key={one.id} transaction={one} nowMs={nowMs} />)}
    </HeldTable>
  )
}

function TransactionRow({ transaction, nowMs }: { transaction: Transaction; nowMs: number }) {
  const { symbol, side, quantity, currency, fee, executed_at, notes } = transaction
  return (
    <tr>
      <td data-label="Time">
        <Moment time={executed_at} nowMs={nowMs} />
      </td>
      <td data-label="Asset" title={symbol}>
        {shortSymbol(symbol)}
        {notes !== null && (
          <small>
            <bdi>{notes}</bdi>
          </small>
        )}
      </td>
      <td data-label="Side">{side === 'buy' ? 'Bought' : 'Sold'}</td>
      <td data-label="Quantity" className="number" title={quantity}>
        {amount(quantity)}
      </td>
      <td data-label="Price" className="number" title={transaction.price}>
        {price(transaction.price, currency)}
      </td>
      <td data-label="Fee" className="number" title={fee}>
        {Number(fee) === 0 ? <span className="quiet">–</span> : price(fee, currency)}
      </td>
    </tr>
  )
}
