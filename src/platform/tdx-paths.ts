/** Where the kernel and others put what TDX evidence is made of (TDX-014). */
export interface TdxPaths {
  /** The report folder of configfs-tsm. */
  readonly reports: string
  /** The folder of the measurement registers (TDX-030). */
  readonly measurements: string
  /** The CCEL ACPI table, and the log that it describes (TDX-020). */
  readonly ccelTable: string
  readonly ccelLog: string
  /** Names the port of the quoting service (TDX-016). */
  readonly quoteServiceConfig: string
  readonly guestDevice: string
}

export const tdxPaths: TdxPaths = {
  reports: '/sys/kernel/config/tsm/report',
  measurements: '/sys/devices/virtual/misc/tdx_guest/measurements',
  ccelTable: '/sys/firmware/acpi/tables/CCEL',
  ccelLog: '/sys/firmware/acpi/tables/data/CCEL',
  quoteServiceConfig: '/etc/tdx-attest.conf',
  guestDevice: '/dev/tdx_guest',
}
