import { declareErrors } from '../src/base/errors.ts'

/** What keeps native code from being called at all; every C library's own refusals are declared by its users. */
export const nativeErrors = declareErrors({
  NATIVE_UNAVAILABLE: {
    kind: 'unavailable',
    title: 'the foreign function interface is not installed or may not be loaded',
    remedy:
      'install the optional dependency koffi (npm ci without --omit=optional); under the permission model add --allow-addons',
    retryable: false,
  },
  NATIVE_LIBRARY_MISSING: {
    kind: 'unavailable',
    title: 'a C library that was asked for cannot be loaded',
    remedy: 'install the package of the distribution that holds the named library',
    retryable: false,
  },
  NATIVE_SYMBOL_MISSING: {
    kind: 'unavailable',
    title: 'a C library lacks a function that is needed',
    remedy: 'install a version of the named library that has the named function',
    retryable: false,
  },
  NATIVE_SELFTEST: {
    kind: 'unavailable',
    title: 'the native layer gave a wrong answer to a question whose answer is known',
    remedy: 'use a supported platform (Linux, glibc 2.28 or later, x86-64 or arm64) and report the facts of this error',
    retryable: false,
  },
})
