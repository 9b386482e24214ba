/** Where the packaged agent listens for workloads (API-01). */
const packagedSocket = '/run/attestd/api.sock'

/** The workload socket that a process is to use: ATTESTD_SOCKET if it is set and not empty, else the packaged one. */
export function workloadSocket(environment: Readonly<Record<string, string | undefined>>): string {
  return environment['ATTESTD_SOCKET'] || packagedSocket
}
