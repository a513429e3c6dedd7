//! The names of one function: which are locals that nothing else can reach.

use std::collections::HashMap;

use tree_sitter::Node;

/// What is known of a local name (a parameter or an automatic variable).
#[derive(Debug, Clone, Copy, Default)]
struct Local {
    array: bool,
    volatile: bool,
    /// Its address leaves its own name: `&x`, or an array used without an index.
    exposed: bool,
    /// Declared more than once in the function (inner scopes): then names do not tell objects apart.
    repeated: bool,
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
    /// Anything else: a global, a macro, an exposed local.
    Shared,
}

impl Scope {
    /// Reads the function's parameters and declarations.
    pub fn new(function: Node<'_>, text: &[u8]) -> Self {
        let mut scope = Self::default();
        scope.declarations(function, text);
        scope.exposures(function, text);
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
            Some(l) if l.exposed || l.repeated => Storage::Shared,
            Some(l) if l.array => Storage::PrivateArray,
            Some(_) => Storage::Private,
            None => Storage::Shared,
        }
    }

    /// Whether `name` is a local declared `volatile`.
    pub fn is_volatile(&self, name: &str) -> bool {
        self.locals.get(name).is_some_and(|l| l.volatile)
    }

    fn declarations(&mut self, node: Node<'_>, text: &[u8]) {
        if matches!(node.kind(), "declaration" | "parameter_declaration") {
            let mut cursor = node.walk();
            let mut volatile = false;
            let mut outside = false;
            for child in node.children(&mut cursor) {
                match child.kind() {
                    "type_qualifier" => volatile |= slice(child, text) == b"volatile",
                    "storage_class_specifier" => {
                        outside |= matches!(slice(child, text), b"static" | b"extern")
                    }
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
                    let entry = self
                        .locals
                        .entry(name)
                        .and_modify(|l| l.repeated = true)
                        .or_default();
                    entry.array |= array;
                    entry.volatile |= volatile;
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

    fn exposures(&mut self, node: Node<'_>, text: &[u8]) {
        match node.kind() {
            "pointer_expression" if slice(node, text).first() == Some(&b'&') => {
                if let Some(base) = node
                    .child_by_field_name("argument")
                    .and_then(base_identifier)
                {
                    self.expose(base, text);
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
                    self.expose(node, text);
                }
            }
            _ => {}
        }
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.exposures(child, text);
        }
    }

    fn is_array(&self, node: Node<'_>, text: &[u8]) -> bool {
        std::str::from_utf8(slice(node, text))
            .is_ok_and(|n| self.locals.get(n).is_some_and(|l| l.array))
    }

    fn expose(&mut self, identifier: Node<'_>, text: &[u8]) {
        if let Some(local) = std::str::from_utf8(slice(identifier, text))
            .ok()
            .and_then(|n| self.locals.get_mut(n))
        {
            local.exposed = true;
        }
    }
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
