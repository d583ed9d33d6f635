/** What a customer's key must allow besides what roles are granted. */
import { ArnFormat, Stack } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import type * as kms from "aws-cdk-lib/aws-kms";
import type { Construct } from "constructs";

/**
 * CloudWatch Logs encrypts by itself, not as the function that logs. The policy of a key that was imported cannot be
 * changed from here: it has to say the same.
 */
export function letLogsUse(key: kms.IKey, scope: Construct): void {
  const stack = Stack.of(scope);
  const anyLogGroup = stack.formatArn({
    service: "logs",
    resource: "log-group",
    resourceName: "*",
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  key.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [new iam.ServicePrincipal(`logs.${stack.region}.amazonaws.com`)],
      actions: ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
      resources: ["*"],
      conditions: { ArnLike: { "kms:EncryptionContext:aws:logs:arn": anyLogGroup } },
    }),
  );
}
