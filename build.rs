//! Recipes are compiled in: a new one must make a new program.

fn main() {
    println!("cargo::rerun-if-changed=recipes");
}
