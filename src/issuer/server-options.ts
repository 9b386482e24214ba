import type { Socket } from 'node:net'

const limits = { headerBytes: 16_384, requestMs: 10_000, keepAliveMs: 5_000, checkMs: 2_000 }

/** What Node's parser refuses never becomes a request: answer on the bare socket. */
function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ''] ?? 400
  socket.end(`HTTP/1.1 ${status} \r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

/** What every server of this room bounds, for any listener. */
export const carefulServer = {
  requestTimeout: limits.requestMs,
  keepAliveTimeout: limits.keepAliveMs,
  maxRequestsPerSocket: 1000,
  forceCloseConnections: true,
  clientErrorHandler: refuseBrokenRequest,
} as const

/** Of the options of Node's HTTP parser. */
export const carefulParser = {
  maxHeaderSize: limits.headerBytes,
  headersTimeout: limits.requestMs,
  // Node looks for slow peers every 30 s by itself.
  connectionsCheckingInterval: limits.checkMs,
} as const
