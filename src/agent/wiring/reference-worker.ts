import { parentPort, workerData } from 'node:worker_threads'
import { readReferenceFiles } from './reference-files.ts'

/** Reads the reference values of the files that it was started with, and ends. */
parentPort?.postMessage(await readReferenceFiles(workerData))
