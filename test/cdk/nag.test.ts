// Hunts: findings of cdk-nag and of CloudFormation's own rules that nobody has explained.
import { RemovalPolicy, Validations } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import { Tracing } from "aws-cdk-lib/aws-lambda";
import { AwsSolutionsChecks } from "cdk-nag";
import { expect, it, vi } from "vitest";
import { type Built, build, recommendedFlags, SYNTH_TIMEOUT_MS } from "./stack.ts";

vi.setConfig({ testTimeout: SYNTH_TIMEOUT_MS });

/** Fails with the findings that are errors, unless they are acknowledged. */
const synth = ({ app }: Built): void => {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
};

it.each([
  ["with the flags of a new project", recommendedFlags],
  ["without any feature flags", {}],
])("the stack as it is by default, %s", (_, context) => {
  expect(() => synth(build({}, context))).not.toThrow();
});

it("a stack with everything switched on, and all the grants", () => {
  const built = build((stack) => ({
    key: new kms.Key(stack, "Key", { enableKeyRotation: true }),
    tracing: Tracing.ACTIVE,
    removalPolicy: RemovalPolicy.DESTROY,
    api: { auth: "iam", openCallbacks: true },
  }));
  const { pawl, stack } = built;
  const caller = new iam.Role(stack, "Caller", { assumedBy: new iam.AccountRootPrincipal() });
  for (const grant of ["Start", "Read", "Signal", "Operate", "Callback", "Http"] as const)
    pawl[`grant${grant}`](caller);
  expect(() => synth(built)).not.toThrow();
});

it("is asked at all: a finding that is not explained fails", () => {
  const built = build();
  new iam.Role(built.stack, "Wide", {
    assumedBy: new iam.AccountRootPrincipal(),
    managedPolicies: [iam.ManagedPolicy.fromAwsManagedPolicyName("AdministratorAccess")],
  });
  expect(() => synth(built)).toThrow("AwsSolutions-IAM4");
});
