// Tests that run at the same time on one simulator, each with a key of its own: none notices another's scenarios, tasks or clock.

import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { Account, Receiver, URL } from "./simulator.js";
import { Studio } from "./studio.js";

const PHOTOS = ["https://example.com/anna.png", "https://example.com/ben.png"];

async function prepared(context: TestContext) {
  const [account, receiver] = [new Account(), await Receiver.start()];
  context.after(() => receiver.stop());
  await account.freeze();
  return { account, receiver, studio: new Studio(URL, account.key, 0) };
}

describe("a studio", { concurrency: true, timeout: 60_000 }, () => {
  test("orders again while there is no room, and is called back", async (context) => {
    const { account, receiver, studio } = await prepared(context);
    await account.queue("error-1303", 2);

    const taskId = await studio.order("two friends in Paris", PHOTOS, receiver.url);
    assert.equal((await studio.look(taskId)).task_status, "submitted");
    const clock = await account.advance("20m");

    assert.ok(clock.events.some((event) => event.event === "status" && event.status === "succeed"));
    const task = await receiver.wait("succeed");
    assert.equal(task.task_id, taskId);
    assert.equal(task.task_result.images?.length, 1);
  });

  test("is told why there is no picture", async (context) => {
    const { account, receiver, studio } = await prepared(context);
    await account.queue("fail-moderation");

    const taskId = await studio.order("two friends in Rome", PHOTOS, receiver.url);
    await account.advance("20m");

    assert.equal((await receiver.wait("failed")).task_status_msg, "Failure to pass the risk control system");
    assert.deepEqual((await account.tasks()).map((task) => task.task_id), [taskId]);
  });

  test("stops when there is no money left", async (context) => {
    const { account, receiver, studio } = await prepared(context);
    await account.configure({ balance: "0" });

    await assert.rejects(studio.order("two friends in Oslo", PHOTOS, receiver.url), /1102/);
    assert.deepEqual(await account.tasks(), []);
  });
});
