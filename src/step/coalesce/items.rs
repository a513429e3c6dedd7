//! A statement list as the run analysis sees it: I/O, transparent code, branches of these, and hurdles.

use tree_sitter::Node;

use super::accessors::{AccessorSpec, Arg, Kind};
use super::effects::{Effects, Judge, Place};
use super::rule::{Hurdle, Rule};
use super::scope::{declared_name, slice, typed_call};

/// One I/O statement.
#[derive(Debug, Clone)]
pub struct Io<'t> {
    /// The whole statement or declaration.
    pub statement: Node<'t>,
    /// The accessor call in it.
    pub call: Node<'t>,
    /// What it does.
    pub kind: Kind,
    /// The value written.
    pub value: Option<Node<'t>>,
    /// Port or cookie.
    pub port: Node<'t>,
    /// Effects of evaluating value and port.
    pub operands: Effects,
    /// Where a read's value goes.
    pub destination: Destination<'t>,
}

/// What happens to the value of an operation.
#[derive(Debug, Clone)]
pub enum Destination<'t> {
    /// Nothing: a write, or a read for its side effect.
    None,
    /// `target = …call…`.
    Assign {
        /// What is assigned to.
        place: Place,
        /// What else is read when the value is handed out.
        reads: Vec<Place>,
        /// Whether arithmetic stands around the call, so that the type of the value matters.
        computed: bool,
    },
    /// `T name = …call…`.
    Declare {
        /// The variable.
        place: Place,
        /// What else is read when the value is handed out.
        reads: Vec<Place>,
        /// See `Assign`.
        computed: bool,
        /// `name = value`.
        declarator: Node<'t>,
    },
}

/// One statement of a list.
#[derive(Debug, Clone)]
pub enum Item<'t> {
    /// Port I/O.
    Io(Box<Io<'t>>),
    /// Code that may stay where it is, inside a run.
    Plain {
        /// The statement.
        node: Node<'t>,
        /// What it reads and writes.
        effects: Effects,
    },
    /// `if` whose arms are I/O and plain code.
    If {
        /// The whole statement.
        node: Node<'t>,
        /// Effects of the condition.
        condition: Effects,
        /// The arm.
        then: Vec<Item<'t>>,
        /// The else arm; empty when there is none.
        otherwise: Vec<Item<'t>>,
    },
    /// Something no run goes across.
    Hurdle(Hurdle),
    /// Port I/O that cannot be recorded.
    Unrecorded(Hurdle),
}

impl Item<'_> {
    /// Most operations that one execution of the item can make.
    pub fn bound(&self) -> usize {
        match self {
            Self::Io(_) => 1,
            Self::If {
                then, otherwise, ..
            } => bound(then).max(bound(otherwise)),
            Self::Plain { .. } | Self::Hurdle(_) | Self::Unrecorded(_) => 0,
        }
    }

    /// What keeps the item out of every run.
    pub fn hurdle(&self) -> Option<&Hurdle> {
        match self {
            Self::Hurdle(hurdle) | Self::Unrecorded(hurdle) => Some(hurdle),
            _ => None,
        }
    }
}

/// Most operations that one execution of a list can make.
pub fn bound(items: &[Item<'_>]) -> usize {
    items.iter().map(Item::bound).sum()
}

/// Turns statement lists into items.
pub struct Reader<'a> {
    /// Judges the expressions.
    pub judge: Judge<'a>,
}

impl<'a> Reader<'a> {
    /// The items of a statement list (a compound statement, a case, a preprocessor branch).
    pub fn list<'t>(&self, parent: Node<'t>) -> Vec<Item<'t>> {
        let mut items = Vec::new();
        let mut end = None;
        let mut cursor = parent.walk();
        for child in parent.named_children(&mut cursor) {
            // The value of a case, the condition of a directive.
            let is_head = ["value", "name", "condition"]
                .iter()
                .any(|f| parent.child_by_field_name(f) == Some(child));
            if child.kind() == "comment" || is_head {
                continue;
            }
            let range = self.judge.source.range(child);
            if let Some(end) = end {
                self.directives_between(end, range.start, &mut items);
            }
            self.statement(child, &mut items);
            end = Some(range.end);
        }
        items
    }

    fn directives_between(&self, from: usize, to: usize, items: &mut Vec<Item<'_>>) {
        let syntax = self.judge.source.syntax;
        if let Some(line) = syntax
            .directives
            .iter()
            .find(|d| d.start < to && d.end > from)
        {
            self.hurdle(Rule::Preproc, "a preprocessor line", line.start, items);
        }
    }

    fn hurdle(&self, rule: Rule, reason: impl Into<String>, at: usize, items: &mut Vec<Item<'_>>) {
        if self.judge.source.on(rule) {
            items.push(Item::Hurdle(Hurdle::new(rule, reason, at)));
        }
    }

    fn statement<'t>(&self, node: Node<'t>, items: &mut Vec<Item<'t>>) {
        let source = self.judge.source;
        let at = source.at(node);
        let range = source.range(node);
        if let Some(line) = source
            .syntax
            .directives
            .iter()
            .find(|d| d.start < range.end && d.end > range.start)
        {
            return self.hurdle(Rule::Preproc, "a preprocessor line", line.start, items);
        }
        match node.kind() {
            "expression_statement" => match node.named_child(0).filter(|n| n.kind() != "comment") {
                // A name alone is a macro that does something.
                Some(name) if name.kind() == "identifier" => self.hurdle(
                    Rule::Call,
                    format!("a macro `{}`", source.original(name)),
                    at,
                    items,
                ),
                Some(expression) => self.expression(node, expression, items),
                None => items.push(Item::Plain {
                    node,
                    effects: Effects::default(),
                }),
            },
            "declaration" => self.declaration(node, items),
            "type_definition" | "struct_specifier" | "union_specifier" | "enum_specifier" => {
                items.push(Item::Plain {
                    node,
                    effects: Effects::default(),
                });
            }
            "if_statement" => self.branch(node, items),
            "while_statement" | "for_statement" | "do_statement" => {
                self.hurdle(Rule::Loop, "a loop", at, items)
            }
            "switch_statement" => self.hurdle(Rule::Switch, "a switch", at, items),
            "labeled_statement" => {
                self.hurdle(Rule::Label, "a label", at, items);
                let mut cursor = node.walk();
                if let Some(inner) = node
                    .named_children(&mut cursor)
                    .skip(1)
                    .find(|c| c.kind() != "comment")
                {
                    self.statement(inner, items);
                }
            }
            "return_statement" | "goto_statement" | "break_statement" | "continue_statement" => {
                self.hurdle(
                    Rule::Jump,
                    format!("a {}", node.kind().trim_end_matches("_statement")),
                    at,
                    items,
                );
            }
            "compound_statement" => self.hurdle(Rule::Branch, "a nested block", at, items),
            kind if kind.starts_with("preproc") => {
                self.hurdle(Rule::Preproc, "a preprocessor line", at, items)
            }
            kind => items.push(Item::Hurdle(Hurdle::new(
                Rule::Call,
                format!("a {} that is not understood", kind.replace('_', " ")),
                at,
            ))),
        }
    }

    fn expression<'t>(&self, statement: Node<'t>, expression: Node<'t>, items: &mut Vec<Item<'t>>) {
        let source = self.judge.source;
        let bare = unwrapped(expression);
        if bare.kind() == "call_expression" {
            let callee = source.callee(bare);
            if let Some(spec) = source.accessors().find(&callee) {
                return self.io(statement, bare, spec, Ok(Destination::None), items);
            }
            if source.step.is_transparent(&callee) {
                let mut effects = Effects::default();
                if let Some(arguments) = bare.child_by_field_name("arguments") {
                    let mut cursor = arguments.walk();
                    for argument in arguments.named_children(&mut cursor) {
                        effects.absorb(self.judge.expression(argument));
                    }
                }
                return self.plain(statement, effects, items);
            }
            if source.step.is_pure(&callee) {
                return self.plain(statement, self.judge.expression(bare), items);
            }
            let at = source.at(bare);
            return match source.on(Rule::Call) {
                true => items.push(Item::Hurdle(Hurdle::new(
                    Rule::Call,
                    format!("a call of `{callee}`"),
                    at,
                ))),
                false => items.push(Item::Plain {
                    node: statement,
                    effects: Effects::default(),
                }),
            };
        }
        if bare.kind() == "assignment_expression"
            && let Some(right) = bare.child_by_field_name("right")
            && let Some(call) = self.single_read(right)
        {
            let destination = self.assigned(bare, right, call);
            let spec = source
                .accessors()
                .find(&source.callee(call))
                .expect("single_read found it");
            return self.io(statement, call, spec, destination, items);
        }
        if bare.kind() == "gnu_asm_expression" {
            return self.hurdle(Rule::Asm, "inline assembly", source.at(bare), items);
        }
        self.plain(statement, self.judge.expression(expression), items);
    }

    fn plain<'t>(&self, node: Node<'t>, mut effects: Effects, items: &mut Vec<Item<'t>>) {
        match effects.hurdle.take() {
            Some(hurdle) => items.push(Item::Hurdle(hurdle)),
            None => items.push(Item::Plain { node, effects }),
        }
    }

    /// `left op= right` around `call`.
    fn assigned<'t>(
        &self,
        assignment: Node<'t>,
        right: Node<'t>,
        call: Node<'t>,
    ) -> Result<Destination<'t>, Hurdle> {
        let mut effects = Effects::default();
        let left = assignment
            .child_by_field_name("left")
            .expect("an assignment has a left side");
        let place = self.judge.target(left, &mut effects);
        effects.absorb(self.judge.expression_around(right, call));
        let plain_operator = assignment
            .child_by_field_name("operator")
            .is_some_and(|o| o.kind() == "=");
        self.settled(effects, left).map(|mut reads| {
            if !plain_operator {
                reads.push(place.clone());
            }
            Destination::Assign {
                place,
                reads,
                computed: !plain_operator || is_computed(right, call),
            }
        })
    }

    /// The reads of a destination, unless finding it has effects of its own.
    fn settled(&self, effects: Effects, node: Node<'_>) -> Result<Vec<Place>, Hurdle> {
        if let Some(hurdle) = effects.hurdle {
            return Err(hurdle);
        }
        if !effects.writes.is_empty() && self.judge.source.on(Rule::DestinationEffect) {
            let reason = "the destination of a read has side effects";
            return Err(Hurdle::new(
                Rule::DestinationEffect,
                reason,
                self.judge.source.at(node),
            ));
        }
        Ok(effects.reads)
    }

    fn io<'t>(
        &self,
        statement: Node<'t>,
        call: Node<'t>,
        spec: &AccessorSpec,
        destination: Result<Destination<'t>, Hurdle>,
        items: &mut Vec<Item<'t>>,
    ) {
        let source = self.judge.source;
        let at = source.at(call);
        let destination = match destination {
            Ok(destination) => destination,
            Err(hurdle) => return items.push(Item::Unrecorded(hurdle)),
        };
        let other = self.judge.scope.declares(&spec.call)
            || source.functions.iter().any(|f| f.name == spec.call)
            || source.macros.is_redefined(&spec.call);
        if spec.builtin && other && source.on(Rule::NameTaken) {
            let reason = format!("`{}` is something else in this file", spec.call);
            return items.push(Item::Unrecorded(Hurdle::new(Rule::NameTaken, reason, at)));
        }
        if spec.pausing && !source.step.pauses_are_void && source.on(Rule::Pause) {
            return items.push(Item::Unrecorded(Hurdle::new(
                Rule::Pause,
                format!("`{}` also delays", spec.call),
                at,
            )));
        }
        let arguments = call.child_by_field_name("arguments").map(|a| {
            let mut cursor = a.walk();
            a.named_children(&mut cursor)
                .filter(|c| c.kind() != "comment")
                .collect::<Vec<_>>()
        });
        let arguments = arguments.unwrap_or_default();
        if arguments.len() != spec.args.len() {
            let reason = format!(
                "`{}` with {} arguments instead of {}",
                spec.call,
                arguments.len(),
                spec.args.len()
            );
            return items.push(Item::Unrecorded(Hurdle::new(Rule::Call, reason, at)));
        }
        let dropped = spec
            .args
            .iter()
            .zip(&arguments)
            .find(|(arg, node)| **arg == Arg::Ignored && node.kind() != "identifier");
        if let Some((_, node)) = dropped {
            let reason = "an argument that would be dropped is more than a name";
            return items.push(Item::Unrecorded(Hurdle::new(
                Rule::OperandCall,
                reason,
                source.at(*node),
            )));
        }
        let argument = |wanted| {
            spec.args
                .iter()
                .position(|a| *a == wanted)
                .map(|i| arguments[i])
        };
        let (value, port) = (
            argument(Arg::Value),
            argument(Arg::Port).expect("checked with the table"),
        );
        let mut operands = Effects::default();
        for node in value.into_iter().chain([port]) {
            operands.absorb(self.judge.expression(node));
        }
        if let Some(hurdle) = operands.hurdle.take() {
            return items.push(Item::Unrecorded(hurdle));
        }
        items.push(Item::Io(Box::new(Io {
            statement,
            call,
            kind: spec.kind,
            value,
            port,
            operands,
            destination,
        })));
    }

    fn declaration<'t>(&self, node: Node<'t>, items: &mut Vec<Item<'t>>) {
        let source = self.judge.source;
        let text = &source.syntax.masked;
        let mut cursor = node.walk();
        let specifiers: Vec<&[u8]> = node.children(&mut cursor).map(|c| slice(c, text)).collect();
        let has = |word: &[u8]| specifiers.contains(&word);
        let mut cursor = node.walk();
        let declarators: Vec<Node<'t>> = node
            .children_by_field_name("declarator", &mut cursor)
            .collect();
        if has(b"static") || has(b"extern") {
            // Nothing runs, but from here on the names mean something else.
            let names = declarators.iter().filter_map(|d| declared_name(*d, text));
            let effects = Effects {
                writes: names.map(|(name, _)| Place::Local(name)).collect(),
                ..Effects::default()
            };
            return items.push(Item::Plain { node, effects });
        }
        let read = declarators.iter().find_map(|d| {
            let call = self.single_read(d.child_by_field_name("value")?)?;
            Some((*d, call))
        });
        if let Some((declarator, call)) = read {
            let name = declarator
                .child_by_field_name("declarator")
                .expect("an init declarator has one");
            let value = declarator
                .child_by_field_name("value")
                .expect("found above");
            // An attribute between the name and the value belongs to the declaration.
            let between = &source.text[source.range(name).end..source.range(value).start];
            let simple = declarators.len() == 1
                && name.kind() == "identifier"
                && between.trim_ascii() == b"=";
            let fixed = [&b"const"[..], b"auto", b"__auto_type", b"volatile"]
                .into_iter()
                .any(has);
            if (!simple || fixed || source.step.guard.is_some()) && source.on(Rule::Declaration) {
                let reason = "a declaration that cannot be parted from its value";
                return items.push(Item::Unrecorded(Hurdle::new(
                    Rule::Declaration,
                    reason,
                    source.at(node),
                )));
            }
            let mut effects = Effects::default();
            let place = self.judge.target(name, &mut effects);
            effects.absorb(self.judge.expression_around(value, call));
            let destination = self
                .settled(effects, name)
                .map(|reads| Destination::Declare {
                    place,
                    reads,
                    computed: is_computed(value, call),
                    declarator,
                });
            let spec = source
                .accessors()
                .find(&source.callee(call))
                .expect("single_read found it");
            return self.io(node, call, spec, destination, items);
        }
        if source.step.guard.is_some() {
            // Both arms of the guard would declare it, and neither for the code after.
            return self.hurdle(Rule::Declaration, "a declaration", source.at(node), items);
        }
        let mut effects = Effects::default();
        if has(b"volatile") && source.on(Rule::Volatile) {
            effects.hurdle = Some(Hurdle::new(
                Rule::Volatile,
                "a volatile object",
                source.at(node),
            ));
        }
        let structure = ["struct_specifier", "union_specifier"].iter().any(|k| {
            node.child_by_field_name("type")
                .is_some_and(|t| t.kind() == *k)
        });
        for declarator in declarators {
            if let Some(value) = declarator.child_by_field_name("value") {
                effects.absorb(self.judge.expression(value));
                if structure {
                    effects.reads.push(Place::Memory); // all members of another
                }
            }
            let mut inner = Some(declarator);
            while let Some(part) = inner {
                if let Some(size) = part.child_by_field_name("size") {
                    effects.absorb(self.judge.expression(size));
                }
                inner = part.child_by_field_name("declarator");
            }
            if let Some((name, _)) = declared_name(declarator, text) {
                effects.writes.push(Place::Local(name));
            }
        }
        self.plain(node, effects, items);
    }

    fn branch<'t>(&self, node: Node<'t>, items: &mut Vec<Item<'t>>) {
        let source = self.judge.source;
        let mut condition = node
            .child_by_field_name("condition")
            .map(|c| self.judge.expression(c))
            .unwrap_or_default();
        if let Some(hurdle) = condition.hurdle.take() {
            return items.push(Item::Hurdle(hurdle));
        }
        let mut arms = [Vec::new(), Vec::new()];
        for (arm, field) in arms.iter_mut().zip(["consequence", "alternative"]) {
            let Some(mut body) = node.child_by_field_name(field) else {
                continue;
            };
            if body.kind() == "else_clause" {
                let mut cursor = body.walk();
                let inner = body
                    .named_children(&mut cursor)
                    .find(|c| c.kind() != "comment");
                let Some(inner) = inner else { continue };
                body = inner;
            }
            if body.kind() == "compound_statement" {
                *arm = self.list(body);
            } else {
                self.statement(body, arm);
            }
        }
        if let Some(inner) = arms.iter().flatten().find_map(Item::hurdle) {
            return self.hurdle(
                Rule::Branch,
                format!("a branch with {}", inner.reason),
                source.at(node),
                items,
            );
        }
        let [then, otherwise] = arms;
        if bound(&then) + bound(&otherwise) == 0 {
            for item in then.into_iter().chain(otherwise) {
                flatten(item, &mut condition);
            }
            return items.push(Item::Plain {
                node,
                effects: condition,
            });
        }
        items.push(Item::If {
            node,
            condition,
            then,
            otherwise,
        });
    }

    /// The one accessor read that an expression certainly makes, if nothing but unconditional arithmetic stands around it.
    fn single_read<'t>(&self, node: Node<'t>) -> Option<Node<'t>> {
        match node.kind() {
            "call_expression" if typed_call(node, &self.judge.source.syntax.masked).is_some() => {
                self.single_read(typed_call(node, &self.judge.source.syntax.masked)?)
            }
            "call_expression" => {
                let spec = self
                    .judge
                    .source
                    .accessors()
                    .find(&self.judge.source.callee(node))?;
                spec.kind.is_read().then_some(node)
            }
            "parenthesized_expression"
            | "cast_expression"
            | "unary_expression"
            | "binary_expression" => {
                let logical = node
                    .child_by_field_name("operator")
                    .is_some_and(|o| matches!(o.kind(), "&&" | "||"));
                let mut cursor = node.walk();
                let mut found = node
                    .named_children(&mut cursor)
                    .filter_map(|c| self.single_read(c));
                let call = found.next()?;
                // Two reads in one expression have no defined order; a logical operator may skip one.
                (found.next().is_none() && !logical).then_some(call)
            }
            _ => None,
        }
    }
}

/// Collects the effects of plain items.
fn flatten(item: Item<'_>, into: &mut Effects) {
    if let Item::Plain { effects, .. } = item {
        into.absorb(effects);
    }
}

/// Looks through parentheses and a cast to void.
fn unwrapped(node: Node<'_>) -> Node<'_> {
    match node.kind() {
        "parenthesized_expression" if node.named_child_count() == 1 => {
            unwrapped(node.named_child(0).expect("counted"))
        }
        "cast_expression" => match node.child_by_field_name("value") {
            Some(value)
                if matches!(value.kind(), "call_expression" | "parenthesized_expression") =>
            {
                unwrapped(value)
            }
            _ => node,
        },
        _ => node,
    }
}

/// Whether arithmetic stands between `outer` and the call: parentheses and casts only convert the value.
fn is_computed(outer: Node<'_>, call: Node<'_>) -> bool {
    outer != call
        && match outer.kind() {
            "parenthesized_expression" => outer
                .named_child(0)
                .is_none_or(|inner| is_computed(inner, call)),
            "cast_expression" => outer
                .child_by_field_name("value")
                .is_none_or(|inner| is_computed(inner, call)),
            _ => true,
        }
}
