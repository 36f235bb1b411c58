import { testQueue } from "./cluster.suite.ts";

testQueue("queue", () => ({}));
