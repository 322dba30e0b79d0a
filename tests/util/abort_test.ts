import { assertEquals } from "@std/assert";
import { onAbort } from "../../src/util/abort.ts";

Deno.test("onAbort() calls every callback once, and forgets those called off", () => {
  const controller = new AbortController();
  const calls: string[] = [];
  const twice = () => calls.push("twice");
  onAbort(controller.signal, twice);
  onAbort(controller.signal, twice);
  const forget = onAbort(controller.signal, () => calls.push("never"));
  forget();
  forget();
  controller.abort();
  assertEquals(calls, ["twice", "twice"]);
});

Deno.test("onAbort() leaves no listener behind when nobody waits any more", () => {
  const controller = new AbortController();
  let listeners = 0;
  const signal = controller.signal;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: unknown[]) => {
    listeners++;
    add(...args as Parameters<typeof add>);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--;
    remove(...args as Parameters<typeof remove>);
  };
  const forgets = [1, 2, 3].map(() => onAbort(signal, () => {}));
  assertEquals(listeners, 1);
  for (const forget of forgets) forget();
  assertEquals(listeners, 0);
  onAbort(signal, () => {});
  assertEquals(listeners, 1);
  controller.abort();
});
