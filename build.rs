//! Recipes and the host's sources are compiled in: a new one must make a new program.

fn main() {
    println!("cargo::rerun-if-changed=recipes");
    for folder in ["src", "tests", "benches"] {
        println!("cargo::rerun-if-changed=host/{folder}");
    }
}
