//! Every built-in recipe is right, and its samples are what its steps do.

use guestpatch::recipe::{Catalogue, samples};

#[test]
fn samples_of_built_in_recipes() {
    let catalogue = Catalogue::load(None, &[]).expect("the built-in recipes are right");
    let mut failures = Vec::new();
    for recipe in catalogue.recipes() {
        for sample in &recipe.samples {
            if let Err(why) = samples::run(recipe, sample) {
                let place = format!("{}:{}", recipe.source.file.display(), sample.line);
                failures.push(format!("{place}: sample `{}`:\n{why}", sample.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
