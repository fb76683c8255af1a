import type { BookChecker } from '../core/books.ts'

/** For a stream without order books: there is nothing to check. */
export function noBooks(): BookChecker {
  return {
    noteBook() {},
    noteTrade() {},
    noteTickSize() {},
    check: () => 'unverifiable',
    withdraw: () => false,
    settle: () => [],
    abandon: () => [],
    undecided: () => [],
    release() {},
    pending: 0,
    unverifiableForms: [],
  }
}
