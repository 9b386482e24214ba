import { request as ask } from 'node:http'

/**
 * A sample workload, in a process of its own: it knows the socket and what it wants, `{"audience": …, "nonces": […]}` or
 * `{"issuer": …}`, and prints the token that it got. It has no library, key or secret.
 */
const [socketPath = '', request = '{}'] = process.argv.slice(2)

const asking = ask(
  {
    socketPath,
    path: '/v1/token',
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/jwt' },
  },
  (answer) => {
    answer.setEncoding('utf8')
    answer.pipe(answer.statusCode === 200 ? process.stdout : process.stderr)
    answer.on('end', () => {
      process.exitCode = answer.statusCode === 200 ? 0 : 1
    })
  },
)
asking.on('error', (error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
asking.end(request)
