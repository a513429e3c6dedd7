//! The names of one function: which are locals that nothing else can reach.

use std::collections::HashMap;
use std::ops::Range;

use tree_sitter::Node;

use super::source::{Addressed, is_type};

/// What is known of a local name (a parameter or an automatic variable).
#[derive(Debug, Clone, Default)]
struct Local {
    array: bool,
    volatile: bool,
    /// Its address leaves its own name: `&x`, or an array used without an index.
    exposed: bool,
    /// Declared more than once in the function (inner scopes), or also used where it is not declared:
    /// then names do not tell objects apart.
    repeated: bool,
    /// A structure or union, which its members change too.
    aggregate: bool,
    /// Where the declaration holds.
    scope: Range<usize>,
}

/// The local names of one function.
#[derive(Debug, Default)]
pub struct Scope {
    locals: HashMap<String, Local>,
}

/// How an identifier is to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// An automatic object that only its own name reaches.
    Private,
    /// The same, an array: reached by its name and an index only.
    PrivateArray,
    /// A local that can also be reached in other ways: through pointers, or by its members.
    Exposed,
    /// Anything else: a global, a macro, a name of several objects.
    Shared,
}

impl Scope {
    /// Reads the parameters and declarations of `function`. `addressed` tells of what a macro takes the address.
    pub fn new(function: Node<'_>, text: &[u8], addressed: &dyn Fn(&str) -> Addressed) -> Self {
        let mut scope = Self::default();
        scope.declarations(function, text);
        scope.exposures(function, text, addressed);
        scope
    }

    /// Takes every name that occurs in `code` as exposed: text of the function that was not parsed.
    pub fn expose_all_in(&mut self, code: &[u8]) {
        for word in code.split(|b| !b.is_ascii_alphanumeric() && *b != b'_') {
            if let Some(local) = std::str::from_utf8(word)
                .ok()
                .and_then(|w| self.locals.get_mut(w))
            {
                local.exposed = true;
            }
        }
    }

    /// How `name` is stored.
    pub fn storage(&self, name: &str) -> Storage {
        match self.locals.get(name) {
            Some(l) if l.exposed || l.aggregate => Storage::Exposed,
            Some(l) if l.repeated => Storage::Shared,
            Some(l) if l.array => Storage::PrivateArray,
            Some(_) => Storage::Private,
            None => Storage::Shared,
        }
    }

    /// Whether `name` is declared in the function.
    pub fn declares(&self, name: &str) -> bool {
        self.locals.contains_key(name)
    }

    /// Whether `name` is a local declared `volatile`.
    pub fn is_volatile(&self, name: &str) -> bool {
        self.locals.get(name).is_some_and(|l| l.volatile)
    }

    /// The operator of `(name) * x` or `(name) & x`, unless `name` is a local: it may be a type, and this a cast, though the
    /// grammar, which does not know types, sees arithmetic.
    pub fn casts(&self, node: Node<'_>, text: &[u8]) -> Option<u8> {
        let left = node.child_by_field_name("left")?;
        let symbol = match node.child_by_field_name("operator")?.kind() {
            "*" => b'*',
            "&" => b'&',
            _ => return None,
        };
        let name = lone_name(left, text)?;
        (!self.locals.contains_key(name)).then_some(symbol)
    }

    fn declarations(&mut self, node: Node<'_>, text: &[u8]) {
        if matches!(node.kind(), "declaration" | "parameter_declaration") {
            let mut cursor = node.walk();
            let mut volatile = false;
            let mut outside = false;
            let mut structure = false;
            for child in node.children(&mut cursor) {
                match child.kind() {
                    "type_qualifier" => volatile |= slice(child, text) == b"volatile",
                    "storage_class_specifier" => {
                        outside |= matches!(slice(child, text), b"static" | b"extern")
                    }
                    "struct_specifier" | "union_specifier" => structure = true,
                    _ => {}
                }
            }
            let mut cursor = node.walk();
            for declarator in node.children_by_field_name("declarator", &mut cursor) {
                if let Some((name, array)) = declared_name(declarator, text)
                    && !outside
                {
                    // An array parameter is a pointer.
                    let array = array && node.kind() == "declaration";
                    let scope = declarator.start_byte()..end_of_scope(node);
                    let entry = self
                        .locals
                        .entry(name)
                        .and_modify(|l| l.repeated = true)
                        .or_insert_with(|| Local {
                            scope,
                            ..Local::default()
                        });
                    entry.array |= array;
                    entry.volatile |= volatile;
                    entry.aggregate |= structure && !is_pointer(declarator);
                }
            }
            // Parameters of a function pointer's type are no names of this function.
            let mut cursor = node.walk();
            for child in node.children_by_field_name("declarator", &mut cursor) {
                if child.kind() == "init_declarator"
                    && let Some(value) = child.child_by_field_name("value")
                {
                    self.declarations(value, text);
                }
            }
            return;
        }
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.declarations(child, text);
        }
    }

    fn exposures(&mut self, node: Node<'_>, text: &[u8], addressed: &dyn Fn(&str) -> Addressed) {
        if node.kind() == "identifier"
            && let Ok(name) = std::str::from_utf8(slice(node, text))
        {
            match self.locals.get_mut(name) {
                Some(local) => local.repeated |= !local.scope.contains(&node.start_byte()),
                None => {
                    let taken = addressed(name);
                    for word in taken.words {
                        self.expose(&word);
                    }
                    let call = node.parent().filter(|p| p.kind() == "call_expression");
                    let arguments = call
                        .filter(|_| taken.arguments)
                        .and_then(|c| c.child_by_field_name("arguments"));
                    if let Some(arguments) = arguments {
                        let mut cursor = arguments.walk();
                        for argument in arguments.named_children(&mut cursor) {
                            if let Some(base) = base_identifier(argument) {
                                self.expose_all(base, text);
                            }
                        }
                    }
                }
            }
        }
        match node.kind() {
            // `(long)&x`, which reads like `(a) & x`.
            "binary_expression" if self.casts(node, text) == Some(b'&') => {
                if let Some(base) = node.child_by_field_name("right").and_then(base_identifier) {
                    self.expose_all(base, text);
                }
            }
            "field_expression"
                if node
                    .child_by_field_name("operator")
                    .is_some_and(|o| o.kind() == ".") =>
            {
                if let Some(local) = base_identifier(node)
                    .and_then(|base| std::str::from_utf8(slice(base, text)).ok())
                    .and_then(|name| self.locals.get_mut(name))
                {
                    local.aggregate = true;
                }
            }
            "pointer_expression" if slice(node, text).first() == Some(&b'&') => {
                if let Some(base) = node
                    .child_by_field_name("argument")
                    .and_then(base_identifier)
                {
                    self.expose_all(base, text);
                }
            }
            // An array's bare name is its address; with an index it is an element.
            "identifier" if self.is_array(node, text) => {
                let indexed = node.parent().is_some_and(|p| {
                    (p.kind() == "subscript_expression"
                        && p.child_by_field_name("argument") == Some(node))
                        || matches!(p.kind(), "array_declarator" | "sizeof_expression")
                        || (p.kind() == "parenthesized_expression"
                            && p.parent().is_some_and(|g| g.kind() == "sizeof_expression"))
                });
                if !indexed {
                    self.expose_all(node, text);
                }
            }
            _ => {}
        }
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.exposures(child, text, addressed);
        }
    }

    fn is_array(&self, node: Node<'_>, text: &[u8]) -> bool {
        std::str::from_utf8(slice(node, text))
            .is_ok_and(|n| self.locals.get(n).is_some_and(|l| l.array))
    }

    fn expose(&mut self, name: &str) {
        if let Some(local) = self.locals.get_mut(name) {
            local.exposed = true;
        }
    }

    /// Exposes every local that `node` names.
    fn expose_all(&mut self, node: Node<'_>, text: &[u8]) {
        if node.kind() == "identifier"
            && let Ok(name) = std::str::from_utf8(slice(node, text))
        {
            self.expose(name);
        }
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.expose_all(child, text);
        }
    }
}

/// The operand of `(name)(x)`, if `name` is a type by its look: a cast that the grammar takes for a call.
pub fn typed_call<'t>(node: Node<'t>, text: &[u8]) -> Option<Node<'t>> {
    let callee = node.child_by_field_name("function")?;
    let arguments = node.child_by_field_name("arguments")?;
    let mut cursor = arguments.walk();
    let mut values = arguments
        .named_children(&mut cursor)
        .filter(|c| c.kind() != "comment");
    let value = values.next()?;
    let name = lone_name(callee, text)?;
    (values.next().is_none() && is_type(&[name])).then_some(value)
}

/// The name in `(name)`.
fn lone_name<'t>(node: Node<'_>, text: &'t [u8]) -> Option<&'t str> {
    let inner = node.named_child(0)?;
    let lone = node.kind() == "parenthesized_expression"
        && node.named_child_count() == 1
        && inner.kind() == "identifier";
    std::str::from_utf8(slice(inner, text))
        .ok()
        .filter(|_| lone)
}

/// Where the names of `declaration` end.
fn end_of_scope(declaration: Node<'_>) -> usize {
    let mut node = declaration;
    while let Some(parent) = node.parent() {
        node = parent;
        let scope = matches!(
            node.kind(),
            "compound_statement" | "for_statement" | "function_definition"
        );
        if scope {
            break;
        }
    }
    node.end_byte()
}

/// Whether a declarator declares a pointer.
fn is_pointer(declarator: Node<'_>) -> bool {
    declarator.kind() == "pointer_declarator"
        || declarator
            .child_by_field_name("declarator")
            .is_some_and(is_pointer)
}

/// The bytes of `node` in the text that was parsed.
pub fn slice<'t>(node: Node<'_>, text: &'t [u8]) -> &'t [u8] {
    &text[node.byte_range()]
}

/// The name a declarator declares, and whether it is an array.
pub fn declared_name(declarator: Node<'_>, text: &[u8]) -> Option<(String, bool)> {
    match declarator.kind() {
        "identifier" => Some((
            String::from_utf8_lossy(slice(declarator, text)).into_owned(),
            false,
        )),
        "array_declarator" => declared_name(declarator.child_by_field_name("declarator")?, text)
            .map(|(n, _)| (n, true)),
        "parenthesized_declarator" | "attributed_declarator" => {
            declared_name(declarator.named_child(0)?, text)
        }
        _ => declared_name(declarator.child_by_field_name("declarator")?, text),
    }
}

/// The identifier at the root of `x`, `x.f`, `x[i]`, `(x)`; none when a pointer is followed.
fn base_identifier(node: Node<'_>) -> Option<Node<'_>> {
    match node.kind() {
        "identifier" => Some(node),
        "parenthesized_expression" => base_identifier(node.named_child(0)?),
        "subscript_expression" => base_identifier(node.child_by_field_name("argument")?),
        "field_expression" => {
            let dot = node
                .child_by_field_name("operator")
                .is_some_and(|o| o.kind() == ".");
            dot.then(|| node.child_by_field_name("argument"))
                .flatten()
                .and_then(base_identifier)
        }
        _ => None,
    }
}
