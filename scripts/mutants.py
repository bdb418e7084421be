"""Mutants of the shop's verifiers: every small change to its rulebook and its code, made one at a time."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple


class Mutant(NamedTuple):
    """One changed file."""

    file: str
    label: str
    text: str


# -- code ----------------------------------------------------------------------------------------

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or,
    ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}  # fmt: skip


def variants(node: ast.AST) -> Iterator[ast.AST | None]:
    """The ways to break one node; None drops a statement."""
    yield from _logic(node)
    yield from _values(node)
    match node:
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield None
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield None
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in _names(value):
            yield None  # `x = x + term`: drop the term


def _logic(node: ast.AST) -> Iterator[ast.expr]:
    """Comparisons, and, or, not, and the choice between two values."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in SWAPS:
            yield ast.Compare(left, [SWAPS[type(op)]()], [right])  # type: ignore[list-item]
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(SWAPS[type(op)](), values)  # type: ignore[arg-type]
            if len(values) > 2:
                yield from (ast.BoolOp(op, values[:i] + values[i + 1 :]) for i in range(len(values)))
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            yield operand
        case ast.Call(func=ast.Name(id="where") as where, args=[test, yes, no]):
            yield ast.Call(where, [test, no, yes], [])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test, orelse, body)


def _values(node: ast.AST) -> Iterator[ast.expr]:
    """Arithmetic, bit operations and constants."""
    match node:
        case ast.BinOp(left=left, op=ast.BitXor(), right=ast.Constant(value=True)):
            yield left  # the logical "not" of array code
        case ast.BinOp(left=left, op=op, right=right) if type(op) in SWAPS:
            yield ast.BinOp(left, SWAPS[type(op)](), right)  # type: ignore[arg-type]
            if isinstance(op, ast.BitOr | ast.BitAnd):
                yield from (left, right)
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


class Mutator(ast.NodeTransformer):
    """Numbers all mutants of a module, and carries one of them out."""

    def __init__(self, target: int = -1) -> None:
        """``target`` is the number of the mutant to carry out; -1 for none."""
        self.target, self.labels, self.where = target, list[str](), ""

    def visit(self, node: ast.AST) -> ast.AST:
        """Visits a node's children, then offers the node's own variants."""
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            return self._scope(node)
        if isinstance(
            node, ast.AnnAssign | ast.arg | ast.Import | ast.ImportFrom | ast.Assert | ast.JoinedStr
        ):
            return node  # annotations and messages change nothing at run time
        before = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
        self.generic_visit(node)
        for variant in variants(node):
            after = ast.unparse(variant) if variant else "(dropped)"
            if self._number(f"{before} -> {after}"):
                return variant or ast.Pass()
        return node

    def _scope(self, node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
        outer, self.where = self.where, f"{self.where}{node.name}."
        node.body = [self.visit(child) for child in node.body]  # type: ignore[misc]
        procedure = isinstance(node, ast.FunctionDef) and not isinstance(node.body[-1], ast.Return)
        if procedure and len(node.body) > 1 and self._number("returns before its last statement"):
            node.body.insert(-1, ast.Return())
        self.where = outer
        return node

    def _number(self, change: str) -> bool:
        self.labels.append(f"{self.where.rstrip('.')}: {change}")
        return len(self.labels) - 1 == self.target


def code_mutants(file: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a Python file."""
    counter = Mutator()
    counter.visit(ast.parse(text))
    for i, label in enumerate(_distinct(counter.labels)):
        tree = ast.fix_missing_locations(Mutator(i).visit(ast.parse(text)))
        yield Mutant(file, label, ast.unparse(tree))


def _distinct(labels: list[str]) -> Iterator[str]:
    """Labels made unique by a count, so that each names one mutant."""
    seen: Counter[str] = Counter()
    for label in labels:
        seen[label] += 1
        yield label if seen[label] == 1 else f"{label} (#{seen[label]})"


# -- rules ----------------------------------------------------------------------------------------

LADDER = ("1000", "1500", "2000", "3000", "5000", "8000", "15000", "20000", "30000", "50000", "80000")
GRID = ("0.0", "0.072", "0.108", "0.144", "0.180", "0.198", "0.234")
OTHERS = {
    "activation": ("active", "dormant", "suspended", "never_activated"),
    "reason": ("age", "tenure", "income", "overdue", "utilisation", "inactive", "recent_grant", "thin_file"),
    "base": ("credit_left", "credit_limit", "monthly_income"),
    "solution": ("resend_statement", "unlock_account", "correct_charge", "apply_coupon", "change_due_date"),
    "unless": ("inactive", "coupon_expired"),
    "answer_instead": ("reactivation", "coupon"),
}
OPERATORS = {">=": ">", "<=": "<", "==": "!=", "!=": "=="}


def _next(names: tuple[str, ...], name: str) -> str:
    return names[(names.index(name) + 1) % len(names)]


def _numbers(line: str) -> Iterator[tuple[re.Match[str], list[str]]]:
    """Every number of a line, and what to put in its place."""
    for match in re.finditer(r"(?<![\w.\"])\d[\d.]*(?![\w\"])", line.split("#")[0]):
        old = match[0]
        if line.startswith("rates"):
            yield match, [_next(GRID, old)]
        elif "." in old:
            yield match, [f"{float(old) + step:.3f}" for step in (0.05, -0.05) if float(old) + step >= 0]
        elif line[: match.start()].endswith("cap = "):
            yield match, [LADDER[LADDER.index(old) + 1], LADDER[LADDER.index(old) - 1]]
        else:
            yield match, [str(int(old) + 1), *([str(int(old) - 1)] if int(old) else [])]


def line_variants(line: str) -> Iterator[str]:
    """The ways to break one line of the rulebook; empty text drops it."""
    for number, values in _numbers(line):
        yield from (line[: number.start()] + value + line[number.end() :] for value in values)
    if match := re.search(r'op = "(.+?)"', line):
        yield line.replace(match[0], f'op = "{OPERATORS[match[1]]}"')
        yield ""
        level = re.search(r", from_level = \d", line)
        yield line.replace(level[0], "") if level else line.replace(" }", ", from_level = 1 }")
    for name, names in OTHERS.items():
        key = "value" if name == "activation" else name
        if (match := re.search(rf'{key} = "(\w+)"', line)) and match[1] in names:
            yield line.replace(match[0], f'{key} = "{_next(names, match[1])}"')
    if match := re.search(r", unless = .*(?= })", line):
        yield line.replace(match[0], "")


def rule_mutants(file: str, text: str) -> Iterator[Mutant]:
    """Every mutant of the rulebook."""
    lines, product = text.splitlines(), ""
    changed: list[tuple[str, str]] = []
    for i, line in enumerate(lines):
        product = line if line.startswith("[") else product
        if line.startswith(("#", "version", "label", "names", "rate_grid")) or "=" not in line:
            continue
        for new in line_variants(line):
            label = f"{product} {line.strip()} -> {new.strip() or '(dropped)'}"
            changed.append((label, "\n".join([*lines[:i], new, *lines[i + 1 :]])))
    labels = _distinct([label for label, _ in changed])
    yield from (Mutant(file, label, text) for label, (_, text) in zip(labels, changed, strict=True))
