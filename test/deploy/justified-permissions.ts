// What the functions may do and did not do in any scenario, and why they may. An entry that nothing matches any more fails.
export const justified: readonly { readonly permission: RegExp; readonly reason: string }[] = [
  {
    permission: /^(Api|Audit|DeadLetters|Lifecycle|TaskQueues\.\w+\.Worker): kms:(Encrypt|DescribeKey) /,
    reason: "AWS's guide to customer keys of DynamoDB asks for them of everyone who uses the table.",
  },
  {
    permission: /^(Api|TaskQueues\.\w+\.Worker): (dynamodb:(DeleteItem|BatchWriteItem)|s3:DeleteObject) /,
    reason:
      "What lies beside a run that is purged goes with it, and bulk operations purge, too. Nothing lies beside those of the scenarios.",
  },
  {
    permission: /^(Api|DeadLetters|TaskQueues\.\w+\.Worker): sqs:SendMessage .*-replies-/,
    reason: "It tells those who wait for a run that it ends. Of those in the scenarios, only one is waited for.",
  },
  {
    permission: /^Audit: sqs:DeleteQueue .*-replies-/,
    reason: "It deletes queues that were left behind a day ago; none is as old.",
  },
  {
    permission: /^Api: sqs:SendMessage .*fragileQueue/,
    reason: "Any step may be the first of a run, or of a redrive.",
  },
  {
    permission:
      /^Audit: (dynamodb:(BatchGetItem|PutItem|UpdateItem)|sqs:SendMessage|scheduler:CreateSchedule|iam:PassRole) /,
    reason: "It sends what is due for runs that are stuck, and hands on turns of runs that have ended. None is stuck.",
  },
  {
    permission: /^Audit: kms:GenerateDataKey /,
    reason: "It sends messages, for runs that are stuck.",
  },
  {
    permission: /^DeadLetters: (sqs:SendMessage .*(inventory|fragile)Queue|scheduler:CreateSchedule |iam:PassRole )/,
    reason: "The end of a step may make others due, on any task queue and at any time.",
  },
  {
    permission: /^DeadLetters: dynamodb:BatchGetItem /,
    reason: "A run's turn is handed on also when its message is a dead letter; no workflow here takes turns.",
  },
  {
    permission: /^TaskQueues\.(inventory|fragile)\.Worker: sqs:(ChangeMessageVisibility |SendMessage .*DeadLetters)/,
    reason: "Only messages of the default task queue are delivered again or malformed; the code is the same.",
  },
  {
    permission: /^Lifecycle: (dynamodb:PutItem |sqs:SendMessage .*defaultQueue)/,
    reason: "It starts the runs that tell webhooks; the stack has none.",
  },
  {
    permission: /^TaskQueues\.default\.Worker: dynamodb:Query .*index/,
    reason: "Bulk operations find runs there by workflow and status; the one of the scenarios finds its own by a tag.",
  },
  {
    permission: /^Timers: sqs:SendMessage .*(inventory|fragile)Queue/,
    reason: "Steps of any task queue may wait for a time.",
  },
];
