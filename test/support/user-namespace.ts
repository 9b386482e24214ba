import { spawnSync } from 'node:child_process'

/** True where a plain user may make a user namespace: not in a chroot, and not where the kernel or its owner forbids it. */
export function canMakeUserNamespaces(): boolean {
  const user = process.getuid?.() === 0 ? { uid: 30_010, gid: 30_010 } : {}
  return (
    spawnSync('unshare', ['--user', '--map-root-user', 'true'], { stdio: 'ignore', cwd: '/', ...user }).status === 0
  )
}
