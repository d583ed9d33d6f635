// What the functions may do and did not do in any scenario, and why they may. An entry that nothing matches any more fails.
export const justified: readonly { readonly permission: RegExp; readonly reason: string }[] = [
  {
    permission: /^(Api|Audit|DeadLetters|Lifecycle|TaskQueues\.\w+\.Worker): kms:(Encrypt|DescribeKey) /,
    reason: "AWS's guide to customer keys of DynamoDB asks for them of everyone who uses the table.",
  },
  {
    permission: /^(Api|TaskQueues\.\w+\.Worker): (dynamodb:(DeleteItem|BatchWriteItem)|s3:DeleteObject) /,
    reason: "Runs are purged over HTTP and by bulk operations. No scenario purges one.",
  },
  {
    permission: /^Lifecycle: (dynamodb:(BatchGetItem|GetItem|Query)|s3:(DeleteObject|ListBucket)) /,
    reason: "What belongs to a run goes with it. No run of the scenarios is removed.",
  },
  {
    permission: /^Api: s3:ListBucket /,
    reason: "A large payload that is lost is then told as missing, not as refused; the scenarios ask for none that is.",
  },
  {
    permission: /^(Api|DeadLetters|TaskQueues\.\w+\.Worker): sqs:SendMessage .*-replies-/,
    reason: "It tells those who wait for the run that it ends, and in the scenarios nobody does.",
  },
  {
    permission: /^Api: sqs:(CreateQueue|ReceiveMessage|DeleteMessage|DeleteQueue) .*-replies-/,
    reason: "It waits for the end of a run when it is asked to (?wait=), and the scenarios ask now and then instead.",
  },
  {
    permission: /^Audit: sqs:(DeleteQueue .*-replies-|ListQueues )/,
    reason:
      "It looks for queues that were left behind a day ago, after it has looked at the runs; the record of its calls may end before.",
  },
  {
    permission: /^Api: (dynamodb:(DeleteItem|BatchWriteItem)|s3:DeleteObject) /,
    reason: "Runs may be purged before they expire; no scenario does.",
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
    reason: "Bulk operations find their runs there; no scenario begins one.",
  },
  {
    permission: /^Timers: sqs:SendMessage .*(inventory|fragile)Queue/,
    reason: "Steps of any task queue may wait for a time.",
  },
];
