import { type ClaimLine, claimEntries } from './claim-entry.ts'

const notMade = 'evidence of GPUs is not yet appraised'

const lines: readonly ClaimLine[] = [
  ['gpu.kind', 'S*', '`gpu` or `switch`'],
  ['gpu.arch', 'S*', '`HOPPER`, `BLACKWELL` …'],
  ['gpu.chip', 'S*', 'chip'],
  ['gpu.hwmodel', 'S*', 'model of the hardware'],
  ['gpu.ueid', 'S*', 'identifier of each device'],
  ['gpu.mode', 'S*', 'how it is protected: `SPT`, `MPT`, `PPCIE`'],
  ['gpu.driver_version', 'S*', 'version of the driver'],
  ['gpu.vbios_version', 'S*', 'version of the VBIOS'],
  ['gpu.fwid', 'S*', 'firmware identifier'],
  ['gpu.verified', 'B*', 'the device signed its report for this request'],
  ['gpu.measurements_matched', 'B*', 'its measurements are those of the reference manifests'],
  ['gpu.debug', 'B*', 'debugging of the device is enabled', { debugValue: true }],
  ['gpu.count', 'I', 'number of GPUs'],
  ['gpu.switch_count', 'I', 'number of switches'],
  ['gpu.binding', 'S', 'how they are bound to the guest: `transcript`, `prefix`, `none`'],
  ['gpu.rim', 'S', 'reference manifests: `full`, `partial`, `none`'],
  ['gpu.devices', 'S', 'all devices', { document: { root: 'Devices', members: 'the members above' } }],
]

/** `*` in a per-device claim: one value for each that occurs among the devices (POL-431). */
export const gpuEntries = claimEntries(
  ['gpu'],
  lines.map(([name, form, meaning, details]): ClaimLine => [name, form, meaning, { ...details, notMade }]),
)
