import { plainConnection } from "../../kube/connection.ts";
import { apiServerSuite } from "../api-server.suite.ts";
import { ApiDouble } from "./server.ts";

const openDouble = async () => {
  const double = new ApiDouble();
  const base = await double.listen();
  return { connection: plainConnection(base), namespace: "test", close: () => double.close() };
};
apiServerSuite("the double", openDouble, { isOld: true });
