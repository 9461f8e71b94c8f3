export const policy: Record<string, string[]>;
export function policyText(directives: Record<string, string[]>): string;
export function metaPolicyText(): string;
export const securityHeaders: Record<string, string>;
export const hubScript: RegExp;
export const hubHeaders: Record<string, string>;
