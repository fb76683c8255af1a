import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaCompiler } from 'fastify'
import { z } from 'zod'
import { OPEN } from './access.ts'

/** One endpoint: what it takes and gives as schemas, and what it does. */
export interface Route<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly group: string
  readonly summary: string
  readonly params?: Params
  readonly query?: Query
  /** JSON. */
  readonly body?: Body
  readonly bodyBytesMax?: number
  readonly answer: Answer
  /** Answers without a token, also where one is set. */
  readonly open?: boolean
  readonly handle: (
    asked: { params: z.output<Params>; query: z.output<Query>; body: z.output<Body> },
    request: FastifyRequest,
    reply: FastifyReply,
  ) => Promise<z.input<Answer>> | z.input<Answer>
}

/** Nothing is taken that is not named. */
export const NOTHING = z.strictObject({})

/** Adds an endpoint; the schemas of its parts decide the types of what its handler sees. */
export function addRoute<
  Params extends z.ZodType = typeof NOTHING,
  Query extends z.ZodType = typeof NOTHING,
  Body extends z.ZodType = typeof NOTHING,
  Answer extends z.ZodType = z.ZodType,
>(app: FastifyInstance, route: Route<Params, Query, Body, Answer>): void {
  const { method, path, group, summary, params, query, body, bodyBytesMax, answer, open, handle } = route
  const schema: Record<string, unknown> = {
    summary,
    tags: [group],
    querystring: query ?? NOTHING,
    response: { 200: answer },
    ...(params === undefined ? {} : { params }),
    ...(body === undefined ? {} : { body }),
  }
  app.route({
    method,
    url: path,
    ...(bodyBytesMax === undefined ? {} : { bodyLimit: bodyBytesMax }),
    config: open ? OPEN : {},
    schema,
    async handler(request, reply) {
      const asked = { params: request.params, query: request.query, body: request.body }
      return reply.send(await handle(asked as never, request, reply))
    },
  })
}

/** Checks with the schemas as they are; what comes out has their defaults and types. */
export const checkWithZod: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data: unknown) => {
    const result = schema.safeParse(data)
    return result.success ? { value: result.data } : { error: result.error }
  }

/** The shape of an answer is checked by types and tests, not while somebody waits for it. */
export const writeJson = () => (data: unknown) => JSON.stringify(data)

/** A route's schemas as JSON Schema, for OpenAPI. */
export function describeWithJsonSchema({ schema, url }: { schema: unknown; url: string }): {
  schema: Record<string, unknown>
  url: string
} {
  const described: Record<string, unknown> = {}
  for (const [name, part] of Object.entries(schema ?? {})) {
    if (name === 'response') {
      const answer = (part as { 200: z.ZodType })[200]
      described[name] = {
        200: { description: 'What was asked for.', ...toJsonSchema(answer, 'output') },
        default: ERROR,
      }
    } else {
      described[name] = part instanceof z.ZodType ? toJsonSchema(part, 'input') : part
    }
  }
  return { schema: described, url }
}

const ERROR = {
  description: 'An error.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
}

export function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      // Left out by zod where text becomes a number on the way in.
      if (zodSchema instanceof z.ZodDefault) jsonSchema.default = zodSchema.def.defaultValue as never
    },
  })
  return rest
}
