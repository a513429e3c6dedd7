//! Recipes: prose, change and samples in one Markdown file.
