import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Access } from '../access.ts'
import type { Session } from '../contract.ts'
import { addRoute } from '../route.ts'
import * as schemas from '../schemas/monitor.ts'

/** Signing in and out, for people; programs send the token as a bearer. */
export function addSessionRoutes(app: FastifyInstance, access: Access): void {
  const group = 'session'
  const path = '/api/session'
  const answer = schemas.session
  const view = (request: FastifyRequest): Session => ({
    token_required: access.tokenRequired,
    signed_in: access.isSignedIn(request),
  })
  addRoute(app, {
    method: 'GET',
    path,
    group,
    summary: 'Whether a token is needed, and whether this request has one.',
    open: true,
    answer,
    handle: (_asked, request) => view(request),
  })
  addRoute(app, {
    method: 'POST',
    path,
    group,
    summary: 'Sign in: the token once, for a cookie that scripts cannot read.',
    open: true,
    body: schemas.signIn,
    answer,
    handle({ body: { token } }, request, reply) {
      access.signIn(token, request, reply)
      return { token_required: true, signed_in: true }
    },
  })
  addRoute(app, {
    method: 'DELETE',
    path,
    group,
    summary: 'Sign out.',
    open: true,
    answer,
    handle(_asked, request, reply) {
      access.signOut(request, reply)
      return { token_required: access.tokenRequired, signed_in: !access.tokenRequired }
    },
  })
}
