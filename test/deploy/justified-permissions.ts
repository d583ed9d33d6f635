// What the functions may do and did not do in any scenario, and why they may. An entry that nothing matches any more fails.
export const justified: readonly { readonly permission: RegExp; readonly reason: string }[] = [
  {
    permission: /^(Api|Audit|DeadLetters|TaskQueues\.\w+\.Worker): kms:(Encrypt|DescribeKey) /,
    reason: "DynamoDB asks for them in the caller's name when it renews the keys that it holds for the table.",
  },
  {
    permission: /^Api: s3:ListBucket /,
    reason:
      "A large payload that is lost is then told as missing, not as refused; the scenarios lose none that is shown.",
  },
  {
    permission: /^Audit: (dynamodb:(PutItem|UpdateItem)|sqs:SendMessage|scheduler:CreateSchedule|iam:PassRole) /,
    reason:
      "It sends what is due for runs that are stuck, and hands on the turns of runs that have ended. None is stuck.",
  },
  {
    permission: /^DeadLetters: (sqs:SendMessage .*(inventory|fragile)Queue|scheduler:CreateSchedule|iam:PassRole)/,
    reason: "The end of a step may make others due, on any task queue and at any time.",
  },
];
