/** Settings of a platform with more than one processor package (extension `.7`). */
export interface PlatformConfiguration {
  readonly dynamicPlatform: boolean
  readonly cachedKeys: boolean
  readonly smtEnabled: boolean
}

/** Intel's extension 1.2.840.113741.1.13.1 of a PCK certificate (TDX-121). */
export interface SgxExtension {
  /** 16 bytes: identifies the machine; never in claims unless asked for (TDX-253). */
  readonly ppid: Uint8Array
  /** 16 values of 0 to 255: the SGX TCB of the platform. */
  readonly components: readonly number[]
  readonly pceSvn: number
  /** 16 bytes. Not for comparisons: the components are (TDX-121). */
  readonly cpuSvn: Uint8Array
  /** 4 lower-case hexadecimal digits. */
  readonly pceId: string
  /** 12 lower-case hexadecimal digits. */
  readonly fmspc: string
  /** 0 Standard, 1 Scalable, 2 Scalable with Integrity. */
  readonly sgxType: 0 | 1 | 2
  /** 16 bytes; null below the processor CA. */
  readonly platformInstanceId: Uint8Array | null
  readonly configuration: PlatformConfiguration | null
}
