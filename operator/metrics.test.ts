import { expect, test } from "vitest";
import { OperatorMetrics } from "./metrics.ts";
import { Rig } from "./testing/rig.ts";

test("metrics: of itself always, of the platform from the operator that acts alone", async () => {
  const rig = await Rig.open();
  try {
    const started = async (metrics: OperatorMetrics) => {
      const client = rig.newClient();
      const operator = await rig.startOperator({
        client,
        onAction: (_, action) => metrics.acted(action),
        onRound: (seconds, result) => metrics.round(seconds, result),
      });
      metrics.follow({ operator, client });
      return operator;
    };
    const [first, second] = [new OperatorMetrics(), new OperatorMetrics()];
    const acting = await started(first);
    rig.install();
    await rig.settled();
    await started(second);
    rig.cluster.loseNode("node-b");
    await rig.until("seen", () =>
      rig.condition("KVGroup", "main-1", "Degraded").startsWith("True"),
    );

    const where = 'data_center="main",kind="KVGroup",name="main-1"';
    await expect
      .poll(() => first.text())
      .toContain(
        `tricampus_condition{${where},type="Degraded",status="True",reason="ReplicaDown"} 1`,
      );
    const text = await first.text();
    expect(text).toContain("tricampus_operator_acting 1");
    expect(text).toMatch(/tricampus_operator_queue_depth \d/);
    expect(text).toMatch(/tricampus_operator_watch_age_seconds\{kind="Pod"\} \d/);
    expect(text).toMatch(/tricampus_operator_actions_total\{act="apply"\} \d\d/);
    expect(text).toMatch(/tricampus_operator_round_seconds_count\{result="ok"\} [1-9]/);
    expect(text).toMatch(/tricampus_campus_state\{.*name="a",state="ok"\} 1/);
    const other = await second.text();
    expect(other).toContain("tricampus_operator_acting 0");
    expect(other).not.toContain("tricampus_condition{");

    await rig.stopOperator(acting);
    await expect.poll(() => second.text()).toContain("tricampus_condition{");
    expect(await first.text()).toContain("tricampus_operator_acting 0");
  } finally {
    await rig.close();
  }
});
