//! stub
/// r
pub type ReadHeader<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;
/// d
pub struct MacroDef {
    /// p
    pub params: Option<Vec<String>>,
    /// b
    pub body: Vec<u8>,
}
/// m
pub struct Macros<'a>(&'a [u8]);
impl<'a> Macros<'a> {
    /// f
    pub fn for_file(_r: &'a ReadHeader<'_>, _p: &str, t: &'a [u8]) -> Self {
        Macros(t)
    }
    /// g
    pub fn get(&self, n: &str) -> Vec<MacroDef> {
        let t = String::from_utf8_lossy(self.0);
        let mut out = vec![];
        for l in t.lines() {
            if let Some(r) = l.strip_prefix("#define ") {
                if let Some(r) = r.strip_prefix(n) {
                    if r.starts_with('(') {
                        let e = r.find(')').unwrap();
                        out.push(MacroDef {
                            params: Some(
                                r[1..e].split(',').map(|s| s.trim().to_string()).collect(),
                            ),
                            body: r[e + 1..].as_bytes().to_vec(),
                        })
                    } else if r.starts_with(' ') {
                        out.push(MacroDef {
                            params: None,
                            body: r.as_bytes().to_vec(),
                        })
                    }
                }
            }
        }
        out
    }
    /// o
    pub fn may_overlap(&self, _a: &str, _b: &str) -> bool {
        false
    }
}
