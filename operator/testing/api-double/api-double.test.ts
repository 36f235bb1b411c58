import { plainConnection } from "../../kube/connection.ts";
import { apiServerSuite } from "../api-server.suite.ts";
import { countDisruptions } from "./disruptions.ts";
import { ApiDouble } from "./server.ts";

const openDouble = async () => {
  const double = new ApiDouble();
  const base = await double.listen();
  const stopCounting = countDisruptions(double.objects);
  const close = async () => {
    stopCounting();
    await double.close();
  };
  return { connection: plainConnection(base), namespace: "test", podSpace: "pods", close };
};
apiServerSuite("the double", openDouble, { isOld: true });
