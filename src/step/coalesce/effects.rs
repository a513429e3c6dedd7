//! What evaluating an expression reads and writes, by storage, and what forbids moving it.

use tree_sitter::Node;

use super::rule::{Hurdle, Rule};
use super::scope::{Scope, Storage, slice, typed_call};
use super::source::FunctionSource;

/// A class of storage that one access touches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A local that only its own name reaches (element accesses of a local array count as the array).
    Local(String),
    /// A member of some structure, by its name.
    Member(String),
    /// A global, an exposed local, or a macro without arguments.
    Name(String),
    /// Memory behind a pointer or an index, of unknown kind.
    Memory,
}

/// Reads and writes of an expression, and the first thing that forbids recording it.
#[derive(Debug, Default, Clone)]
pub struct Effects {
    /// Storage read.
    pub reads: Vec<Place>,
    /// Storage written.
    pub writes: Vec<Place>,
    /// Why the expression may not be recorded early.
    pub hurdle: Option<Hurdle>,
}

impl Effects {
    fn stop(&mut self, rule: Rule, reason: String, at: usize) {
        self.hurdle
            .get_or_insert_with(|| Hurdle::new(rule, reason, at));
    }

    /// Adds the effects of `other`, evaluated after these.
    pub fn absorb(&mut self, other: Effects) {
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
        self.hurdle = self.hurdle.take().or(other.hurdle);
    }
}

/// Judges expressions of one function.
pub struct Judge<'a> {
    /// The function being judged.
    pub source: &'a FunctionSource<'a>,
    /// Its names.
    pub scope: &'a Scope,
}

impl Judge<'_> {
    /// The effects of evaluating `node`.
    pub fn expression(&self, node: Node<'_>) -> Effects {
        let mut effects = Effects::default();
        self.visit(node, &mut effects);
        effects
    }

    /// The effects of evaluating `node` for its value, when `hole` (the accessor call in it) has run before.
    pub fn expression_around(&self, node: Node<'_>, hole: Node<'_>) -> Effects {
        let mut effects = Effects::default();
        self.visit_around(node, Some(hole), &mut effects);
        effects
    }

    /// The place that assigning to `node` writes; the reads needed to find it go to `effects`.
    pub fn target(&self, node: Node<'_>, effects: &mut Effects) -> Place {
        match node.kind() {
            "parenthesized_expression" if node.named_child_count() == 1 => {
                self.target(node.named_child(0).expect("counted"), effects)
            }
            "identifier" => self.named(node, effects),
            "field_expression" => {
                self.member_base(node, None, effects);
                Place::Member(self.member(node, effects))
            }
            "subscript_expression" => {
                for field in ["index", "argument"] {
                    if let Some(child) = node.child_by_field_name(field)
                        && !(field == "argument" && self.is_private_array(child))
                    {
                        self.visit(child, effects);
                    }
                }
                match node.child_by_field_name("argument") {
                    Some(base) if self.is_private_array(base) => Place::Local(self.text(base)),
                    _ => Place::Memory,
                }
            }
            "pointer_expression" => {
                if let Some(argument) = node.child_by_field_name("argument") {
                    self.visit(argument, effects);
                }
                Place::Memory
            }
            other => {
                effects.stop(
                    Rule::Store,
                    format!("a destination of a kind not understood ({other})"),
                    self.source.at(node),
                );
                Place::Memory
            }
        }
    }

    fn visit(&self, node: Node<'_>, effects: &mut Effects) {
        self.visit_around(node, None, effects);
    }

    fn visit_around(&self, node: Node<'_>, hole: Option<Node<'_>>, effects: &mut Effects) {
        if hole == Some(node) {
            return;
        }
        match node.kind() {
            "number_literal"
            | "char_literal"
            | "string_literal"
            | "concatenated_string"
            | "true"
            | "false"
            | "null"
            | "comment"
            | "sizeof_expression"
            | "alignof_expression"
            | "offsetof_expression" => {}
            "identifier" => {
                let place = self.named(node, effects);
                effects.reads.push(place);
            }
            "binary_expression"
                if self.scope.casts(node, &self.source.syntax.masked) == Some(b'*') =>
            {
                self.children(node, hole, effects);
                effects.reads.push(Place::Memory);
            }
            "parenthesized_expression"
            | "binary_expression"
            | "unary_expression"
            | "conditional_expression"
            | "comma_expression" => {
                self.children(node, hole, effects);
            }
            "cast_expression" => {
                let volatile = node
                    .child_by_field_name("type")
                    .is_some_and(|t| memchr::memmem::find(self.bytes(t), b"volatile").is_some());
                if volatile && self.source.on(Rule::Volatile) {
                    effects.stop(
                        Rule::Volatile,
                        "a cast to a volatile type".into(),
                        self.source.at(node),
                    );
                }
                if let Some(value) = node.child_by_field_name("value") {
                    self.visit_around(value, hole, effects);
                }
            }
            "field_expression" => {
                self.member_base(node, hole, effects);
                let member = self.member(node, effects);
                effects.reads.push(Place::Member(member));
            }
            "subscript_expression" | "pointer_expression" => self.indirect(node, hole, effects),
            "assignment_expression" => self.assignment(node, hole, effects),
            "update_expression" => {
                if let Some(argument) = node.child_by_field_name("argument") {
                    let place = self.target(argument, effects);
                    effects.reads.push(place.clone());
                    self.write(place, node, effects);
                }
            }
            "call_expression" => self.call(node, hole, effects),
            other => effects.stop(
                Rule::OperandCall,
                format!(
                    "an expression of a kind not understood ({})",
                    other.replace('_', " ")
                ),
                self.source.at(node),
            ),
        }
    }

    fn children(&self, node: Node<'_>, hole: Option<Node<'_>>, effects: &mut Effects) {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.visit_around(child, hole, effects);
        }
    }

    fn named(&self, node: Node<'_>, effects: &mut Effects) -> Place {
        let name = self.text(node);
        let volatile = match self.scope.declares(&name) {
            true => self.scope.is_volatile(&name),
            false => self.source.is_volatile(&name),
        };
        if volatile && self.source.on(Rule::Volatile) {
            effects.stop(
                Rule::Volatile,
                format!("`{name}` is volatile"),
                self.source.at(node),
            );
        }
        if self.source.is_active_macro(&name) && self.source.on(Rule::OperandCall) {
            effects.stop(
                Rule::OperandCall,
                format!("`{name}` is a macro that is not known to be pure"),
                self.source.at(node),
            );
        }
        match self.scope.storage(&name) {
            Storage::Private | Storage::PrivateArray => Place::Local(name),
            Storage::Shared => Place::Name(name),
            Storage::Exposed => Place::Memory,
        }
    }

    /// `base->member` reads the pointer; `base.member` reads nothing of `base` itself.
    fn member_base(&self, node: Node<'_>, hole: Option<Node<'_>>, effects: &mut Effects) {
        let Some(base) = node.child_by_field_name("argument") else {
            return;
        };
        let follows = node
            .child_by_field_name("operator")
            .is_none_or(|o| o.kind() == "->");
        match base.kind() {
            "identifier" if !follows => {
                self.named(base, effects); // volatile?
            }
            "field_expression" if !follows => self.member_base(base, hole, effects),
            _ => self.visit_around(base, hole, effects),
        }
    }

    /// The member that `node` names; `effects` are told when it is volatile.
    fn member(&self, node: Node<'_>, effects: &mut Effects) -> String {
        let name = node
            .child_by_field_name("field")
            .map(|f| self.text(f))
            .unwrap_or_default();
        if self.source.is_volatile(&name) && self.source.on(Rule::Volatile) {
            effects.stop(
                Rule::Volatile,
                format!("the member `{name}` is volatile"),
                self.source.at(node),
            );
        }
        name
    }

    fn indirect(&self, node: Node<'_>, hole: Option<Node<'_>>, effects: &mut Effects) {
        if self.bytes(node).first() == Some(&b'&') && node.kind() == "pointer_expression" {
            // Taking an address reads only what finds the object.
            if let Some(argument) = node.child_by_field_name("argument")
                && argument.kind() != "identifier"
            {
                self.target(argument, effects);
            }
            return;
        }
        if let Some(index) = node.child_by_field_name("index") {
            self.visit_around(index, hole, effects);
        }
        if let Some(base) = node.child_by_field_name("argument") {
            if self.is_private_array(base) {
                effects.reads.push(Place::Local(self.text(base)));
                return;
            }
            self.visit_around(base, hole, effects);
        }
        effects.reads.push(Place::Memory);
    }

    fn assignment(&self, node: Node<'_>, hole: Option<Node<'_>>, effects: &mut Effects) {
        if let Some(right) = node.child_by_field_name("right") {
            self.visit_around(right, hole, effects);
        }
        if let Some(left) = node.child_by_field_name("left") {
            let place = self.target(left, effects);
            if node
                .child_by_field_name("operator")
                .is_none_or(|o| o.kind() != "=")
            {
                effects.reads.push(place.clone());
            }
            self.write(place, node, effects);
        }
    }

    fn write(&self, place: Place, node: Node<'_>, effects: &mut Effects) {
        let allowed = match &place {
            Place::Local(_) => true,
            Place::Member(name) => self.source.step.stores.iter().any(|s| s == name),
            Place::Name(_) | Place::Memory => false,
        };
        if !allowed && self.source.on(Rule::Store) {
            effects.stop(
                Rule::Store,
                format!("a store to `{}`", self.source.original(target_of(node))),
                self.source.at(node),
            );
        }
        effects.writes.push(place);
    }

    fn call(&self, node: Node<'_>, hole: Option<Node<'_>>, effects: &mut Effects) {
        if let Some(value) = typed_call(node, &self.source.syntax.masked) {
            return self.visit_around(value, hole, effects);
        }
        let callee = self.source.callee(node);
        if self.source.accessors().find(&callee).is_some() {
            if self.source.on(Rule::NestedIo) {
                effects.stop(
                    Rule::NestedIo,
                    format!("`{callee}` inside an operand"),
                    self.source.at(node),
                );
            }
        } else if let Some(reads) = self.source.pure_call(&callee) {
            effects.reads.extend(reads);
        } else if self.source.on(Rule::OperandCall) {
            effects.stop(
                Rule::OperandCall,
                format!("`{callee}()` in an operand is not known to be pure"),
                self.source.at(node),
            );
        }
        if let Some(arguments) = node.child_by_field_name("arguments") {
            self.children(arguments, hole, effects);
        }
    }

    fn is_private_array(&self, node: Node<'_>) -> bool {
        node.kind() == "identifier" && self.scope.storage(&self.text(node)) == Storage::PrivateArray
    }

    fn bytes(&self, node: Node<'_>) -> &[u8] {
        slice(node, &self.source.syntax.masked)
    }

    fn text(&self, node: Node<'_>) -> String {
        String::from_utf8_lossy(self.bytes(node)).into_owned()
    }
}

fn target_of(node: Node<'_>) -> Node<'_> {
    node.child_by_field_name("left")
        .or_else(|| node.child_by_field_name("argument"))
        .unwrap_or(node)
}
