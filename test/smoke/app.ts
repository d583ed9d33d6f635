// The stack that `npm run smoke:aws` deploys, and destroys again with everything in it.
import { fileURLToPath } from "node:url";
import { App, CfnOutput, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Pawl } from "pawl/cdk";
import { chain, timer } from "./workflows.ts";

const stack = new Stack(new App(), "PawlSmoke");
const pawl = new Pawl(stack, "Pawl", {
  entry: fileURLToPath(new URL("worker.ts", import.meta.url)),
  workflows: [chain, timer],
  api: false,
  removalPolicy: RemovalPolicy.DESTROY,
});
new CfnOutput(stack, "CommandFunction", { value: pawl.apiFunction.functionName });
