// What the functions may do and did not do in any scenario, and why they may. An entry that nothing matches any more fails.
export const justified: readonly { readonly permission: RegExp; readonly reason: string }[] = [];
