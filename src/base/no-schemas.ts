function buildNone(): never {
  throw new TypeError('no route has a schema')
}

/**
 * For Fastify's `schemaController`: servers that judge requests by themselves need no compilers of JSON schemas, which
 * are a third of what Fastify loads and some megabytes of memory for nothing.
 */
export const noSchemas = { compilersFactory: { buildValidator: buildNone, buildSerializer: buildNone } }
