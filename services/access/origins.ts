/**
 * Which pages may read the answers of HTTP requests and long polls: browsers ask so (CORS) before they let a page of
 * another origin see one. The client's page nearly always is of another: each campus has an address of its own. No
 * right is a cookie's, so a page gets nothing here that a program would not get; what a list of origins keeps away
 * are strangers' pages that ask from inside a network which the strangers cannot reach. WebSockets know no such rule.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

export const ANY_ORIGIN = "*";
const METHODS = "GET, HEAD, POST, DELETE";
const HEADERS = "authorization, content-type, range, if-range, x-trace";
/** What a page may read of a download. */
const SHOWN_HEADERS = "content-range, content-length, etag, accept-ranges";
/** Browsers keep the permission for so long, and ask no more than that. */
const ALLOWED_SECONDS = 7_200;

/** Before all other hooks: refusals are to be read as well. */
export function allowOrigins(http: FastifyInstance, origins: readonly string[]): void {
  const isAny = origins.includes(ANY_ORIGIN);
  const allow = ({ headers }: FastifyRequest, reply: FastifyReply): boolean => {
    const { origin } = headers;
    if (!isAny) reply.header("vary", "origin");
    if (origin === undefined || !(isAny || origins.includes(origin))) return false;
    reply.header("access-control-allow-origin", isAny ? ANY_ORIGIN : origin);
    reply.header("access-control-expose-headers", SHOWN_HEADERS);
    return true;
  };
  http.addHook("onRequest", async (request, reply) => {
    allow(request, reply);
  });
  http.options("/v1/*", (request, reply) => {
    if (allow(request, reply)) {
      reply.header("access-control-allow-methods", METHODS);
      reply.header("access-control-allow-headers", HEADERS);
      reply.header("access-control-max-age", ALLOWED_SECONDS);
    }
    return reply.code(204).send();
  });
}
