// The texts of all errors that some directories of the sources can make: of a template what is between the
// values.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { root } from './node.js';

export interface ErrorText {
  /** `src/cli/start.ts:12` */
  where: string;
  /** The longest part that stands there as it is. */
  text: string;
}

/** What makes an error, or prints one. */
const MAKERS = new Set(['posixError', 'whileTrying', 'fail', 'complain', 'error', 'refuse']);
const MAKER = /(Error|Exception)$/;

/** As commander wants it; it is not printed. */
const COMMANDER = /^error: /;

/** Texts shorter than this are names and signs. */
const SENTENCE = /\w \w/;

export function errorTexts(...folders: string[]): ErrorText[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => ofFile(`${folder}/${name}`)),
  );
}

function ofFile(file: string): ErrorText[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const found = new Map<ts.Node, string>();
  const seen = new Set<ts.Node>();
  const visit = (node: ts.Node): void => {
    if (isMaker(node)) for (const part of node.arguments ?? []) collect(part, seen, found);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return [...found].map(([node, text]) => ({
    where: `${file}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`,
    text,
  }));
}

function isMaker(node: ts.Node): node is ts.NewExpression | ts.CallExpression {
  if (ts.isNewExpression(node)) return MAKER.test(node.expression.getText());
  if (!ts.isCallExpression(node)) return false;
  const { expression } = node;
  const name = ts.isPropertyAccessExpression(expression) ? expression.name : expression;
  return MAKERS.has(name.getText());
}

/** The texts in an expression, and in the constants of the function that it names. */
function collect(node: ts.Node, seen: Set<ts.Node>, found: Map<ts.Node, string>): void {
  if (seen.has(node)) return;
  seen.add(node);
  const text = staticText(node);
  if (text !== undefined) {
    if (SENTENCE.test(text)) found.set(node, text);
  } else if (ts.isIdentifier(node) && !ts.isPropertyAssignment(node.parent)) {
    const constant = constantOf(node);
    if (constant !== undefined) collect(constant, seen, found);
    return;
  }
  if (ts.isFunctionLike(node)) return;
  ts.forEachChild(node, (child) => collect(child, seen, found));
}

function staticText(node: ts.Node): string | undefined {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node))
    return node.text.replace(COMMANDER, '');
  if (!ts.isTemplateExpression(node)) return undefined;
  const parts = [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)];
  return parts.map((part) => part.trim()).reduce((a, b) => (b.length > a.length ? b : a));
}

/** What a name in the same function stands for. */
function constantOf(name: ts.Identifier): ts.Expression | undefined {
  for (let scope: ts.Node = name.parent; scope !== undefined; scope = scope.parent) {
    if (!ts.isBlock(scope) && !ts.isSourceFile(scope)) continue;
    for (const statement of scope.statements) {
      if (!ts.isVariableStatement(statement)) continue;
      for (const { name: declared, initializer } of statement.declarationList.declarations) {
        if (declared.getText() === name.text && initializer !== undefined) return initializer;
      }
    }
  }
  return undefined;
}
