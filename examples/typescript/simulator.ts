// What a test holds of a `klingkit serve` that others use too: an account of its own, and a receiver of callbacks.

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

import type { components as Api } from "./types/api.js";
import type { components as Control, paths } from "./types/control.js";

type Schemas = Control["schemas"];
type Answer<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method] extends {
  responses: { 200: { content: { "application/json": infer Body } } };
}
  ? Body
  : never;
export type CallbackTask = Api["schemas"]["CallbackTask"];

export const URL = process.env["COMETAPI_BASE_URL"] ?? "http://127.0.0.1:8000";

/** The key is the account: its tasks, money, scenarios and clock are nobody else's. */
export class Account {
  readonly key = `test-${randomUUID()}`;

  queue(scenario: Schemas["ScenarioName"], times = 1) {
    return this.#call("/_mock/scenarios", "post", { scenario, times } satisfies Schemas["Queue"]);
  }

  configure(settings: Schemas["Settings"]) {
    return this.#call("/_mock/account", "patch", settings);
  }

  freeze() {
    return this.#call("/_mock/clock/freeze", "post");
  }

  /** Answers when everything due on the way has happened, callbacks too. */
  advance(by: string) {
    return this.#call("/_mock/clock/advance", "post", { by } satisfies Schemas["Advance"]);
  }

  tasks() {
    return this.#call("/_mock/tasks", "get");
  }

  advice() {
    return this.#call("/_mock/advice", "get");
  }

  async #call<Path extends keyof paths, Method extends keyof paths[Path] & string>(
    path: Path,
    method: Method,
    body?: unknown,
  ): Promise<Answer<Path, Method>> {
    const response = await fetch(URL + path, {
      method: method.toUpperCase(),
      headers: { Authorization: `Bearer ${this.key}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error((answer as Schemas["Error"]).error);
    return answer as Answer<Path, Method>;
  }
}

/** Takes the callbacks of one test, on a port of its own. */
export class Receiver {
  readonly received: CallbackTask[] = [];
  readonly #server: Server;
  #tell = () => {};

  private constructor() {
    this.#server = createServer(async (request, response) => {
      this.received.push((await json(request)) as CallbackTask);
      response.writeHead(204).end();
      this.#tell();
    });
  }

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Waits for the callback of a status; the test's own timeout ends it. */
  async wait(status: CallbackTask["task_status"]): Promise<CallbackTask> {
    for (;;) {
      const found = this.received.find((task) => task.task_status === status);
      if (found) return found;
      await new Promise<void>((resolve) => (this.#tell = resolve));
    }
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
