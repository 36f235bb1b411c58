/** Waits until something holds; fails when it does not in time. */
export async function until(holds: () => boolean, timeoutMs = 5_000): Promise<void> {
  const giveUpMs = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > giveUpMs) throw new Error(`not within ${timeoutMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
