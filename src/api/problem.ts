import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { describeError, PermanentError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { redactText } from '../runtime/redact.ts'
import type { Problem as ProblemBody } from './contract.ts'

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'
const DETAIL_LENGTH_MAX = 500

/** An answer that is an error, as RFC 9457 has it. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly parameter: string | undefined

  constructor(status: number, detail: string, parameter?: string) {
    super(detail)
    this.status = status
    this.parameter = parameter
  }
}

export function problemBody({ status, message, parameter }: Problem): ProblemBody {
  const detail = redactText(message).slice(0, DETAIL_LENGTH_MAX)
  const title = STATUS_CODES[status] ?? 'Error'
  return { type: 'about:blank', title, status, detail, ...(parameter === undefined ? {} : { parameter }) }
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  const text = JSON.stringify(problemBody(problem))
  return reply.code(problem.status).type(PROBLEM_TYPE).header('cache-control', 'no-store').send(text)
}

/** What an error that was thrown on the way to an answer is answered with. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof z.ZodError) return invalid(error)
  if (error instanceof TransientError) {
    return new Problem(503, `the ledger cannot answer now: ${describeError(error)}`)
  }
  if (error instanceof PermanentError) return new Problem(503, 'the ledger cannot be used')
  const status = statusOf(error)
  if (status !== null) return new Problem(status, CLIENT_WORDS[(error as FastifyError).code] ?? describeError(error))
  return new Problem(500, 'an internal error, which the log tells more about')
}

/** The framework's own words, where they would puzzle people. */
const CLIENT_WORDS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'the body must be application/json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'the body is empty',
  FST_ERR_CTP_INVALID_JSON_BODY: 'the body is not JSON',
  FST_ERR_CTP_BODY_TOO_LARGE: 'the body is too large',
  FST_ERR_BAD_URL: 'the path is not one',
}

function statusOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('statusCode' in error) || typeof error.statusCode !== 'number') return null
  return error.statusCode >= 400 && error.statusCode < 500 ? error.statusCode : null
}

/** The first thing that is wrong, with the parameter's name. */
function invalid(error: z.ZodError): Problem {
  const issue = error.issues[0]
  const stranger = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  if (stranger !== undefined) {
    const name = stranger.slice(0, 100)
    return new Problem(400, `${name} is not a parameter of this`, name)
  }
  const name = issue?.path.join('.') || 'body'
  return new Problem(400, `${name} ${issue?.message ?? 'is not valid'}`, name)
}

/** The last resort of every request: answers, and logs what is our fault. */
export function errorHandler(log: Logger) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const problem = toProblem(error)
    if (problem.status === 500) {
      // The pattern, not the address: that may hold anything.
      const route = request.routeOptions.url ?? 'an unknown path'
      log.error({ err: error, method: request.method, route }, `the API failed at ${route}: ${describeError(error)}`)
    }
    return sendProblem(reply, problem)
  }
}
