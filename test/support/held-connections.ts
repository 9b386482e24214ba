import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** TCP sockets in state LISTEN of a process, as the kernel writes them, and how many sockets of any kind it has. */
export function listeningSockets(pid: number) {
  const folder = `/proc/${pid}/fd`
  const links = readdirSync(folder).map((fd) => readlinkSync(join(folder, fd)))
  const own = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
  const lines = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/${pid}/net/${name}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/ +/))
      .filter((fields) => fields[3] === '0A' && own.has(fields[9] ?? ''))
      .map((fields) => ({ local: fields[1] ?? '' })),
  )
  return { inodes: own.size, lines }
}

/** A process of another user that opens connections again and again and says nothing on them. */
export async function holdConnections(uid: number, port: number, wanted: number) {
  const script = `
    const net = require('node:net')
    let open = 0, tried = 0
    const more = () => {
      if (tried++ >= ${wanted}) return
      const socket = net.connect(${port}, '127.0.0.1')
      socket.on('connect', () => { open++; more() })
      socket.on('error', () => {})
      socket.on('close', () => { open-- })
      socket.resume()
    }
    for (let at = 0; at < 4; at++) more()
    setInterval(() => process.stdout.write((tried >= ${wanted} ? 'done ' : '') + open + '\\n'), 50)
  `
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  const child: ChildProcess = spawn(process.execPath, ['-e', script], { uid, gid: uid, stdio: [...stdio] })
  let last = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    last = String(chunk).trim().split('\n').at(-1) ?? last
    child.emit('told')
  })
  // What was refused has to be told apart from what is held: so wait until the number stays.
  for (let same = 0, before = ''; same < 6; before = last) {
    await once(child, 'told')
    same = last.startsWith('done ') && last === before ? same + 1 : 0
  }
  return {
    open: () => Number(last.replace('done ', '')),
    async end() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
