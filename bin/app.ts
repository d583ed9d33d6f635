/** The CDK app of this repository: `npx cdk deploy` puts the example workflows into your account, `npx cdk destroy` takes them away. */
import { App, CfnOutput, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Pawl } from "pawl/cdk";
import { workflows } from "../examples/workflows.ts";

const stack = new Stack(new App(), "PawlExamples", { description: "The example workflows of Pawl" });
const pawl = new Pawl(stack, "Pawl", {
  entry: "examples/worker.ts",
  workflows,
  taskQueues: { inventory: { maxConcurrency: 10 } },
  // Examples leave nothing behind. Leave this out for runs that matter.
  removalPolicy: RemovalPolicy.DESTROY,
});
new CfnOutput(stack, "Url", { value: pawl.url });
new CfnOutput(stack, "ApiFunction", { value: pawl.apiFunction.functionName });
