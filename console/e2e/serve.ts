import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const bin = (program: string): string => fileURLToPath(new URL(`../../bin/${program}`, import.meta.url))

/** A shop of the test's own. */
export class OwnShop {
  url = ''
  private process?: ChildProcess

  private constructor(
    readonly data: string,
    private readonly flags: string[],
    private readonly environment: Record<string, string>,
    private readonly program: string,
  ) {}

  static async start(flags: string[] = [], environment: Record<string, string> = {}, program = 'shop'): Promise<OwnShop> {
    const own = new OwnShop(await mkdtemp(join(tmpdir(), 'shop-')), flags, environment, program)
    await own.open('127.0.0.1:0')
    return own
  }

  /** Kills it as hard as can be. */
  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  /** Lets it finish what it has in hand. */
  async stop(): Promise<void> {
    await this.end('SIGTERM')
  }

  /** Starts it again where it was, with the data that it had. */
  async restart(): Promise<void> {
    await this.open(new URL(this.url).host)
  }

  async close(): Promise<void> {
    await this.stop()
    await rm(this.data, { recursive: true })
  }

  private async open(addr: string): Promise<void> {
    const env = { ...process.env, ...this.environment, SHOP_ADDR: addr, SHOP_DATA: this.data }
    const child = spawn(bin(this.program), ['--json', 'serve', ...this.flags], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.process = child
    for await (const line of createInterface(child.stdout)) {
      this.url = (JSON.parse(line) as { url: string }).url
      return
    }
    throw new Error('The shop did not start.')
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.process || this.process.exitCode !== null || this.process.signalCode !== null) return
    const ended = once(this.process, 'exit')
    this.process.kill(signal)
    await ended
  }
}
