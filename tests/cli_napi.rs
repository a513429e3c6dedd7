//! `napi-report` on a small tree: drivers of several files, refusals, and the order.

#[allow(dead_code, reason = "each test program uses a part")]
mod cli_support;

use cli_support::Place;

const EASY: &str = "#include \"easy.h\"\n\nstatic int easy_poll(struct napi_struct *napi, int budget)\n{\n\tnetif_receive_skb(skb);\n\tnapi_complete(napi);\n\treturn 1;\n}\n\nint easy_setup(struct easy *e)\n{\n\tnetif_napi_add(e->dev, &e->napi, easy_poll, 64);\n\treturn 0;\n}\n";
const EASY_H: &str = "struct easy {\n\tstruct napi_struct napi;\n};\n";
const PART: &str =
    "irqreturn_t easy_interrupt(int irq, void *data)\n{\n\tnapi_schedule(data);\n\treturn 1;\n}\n";
const XDP: &str = "static int fast_poll(struct napi_struct *napi, int budget)\n{\n\treturn bpf_prog_run_xdp(0, 0) == XDP_PASS;\n}\n\nvoid fast_setup(struct fast *f)\n{\n\tnetif_napi_add(f->dev, &f->napi, fast_poll);\n}\n";

fn place() -> Place {
    let place = Place::new();
    place.write(
        "linux/drivers/net/mini/Makefile",
        "obj-m += easy.o fast.o\neasy-y := easy_main.o \\\n\teasy_irq.o\n",
    );
    place.write("linux/drivers/net/mini/easy_main.c", EASY);
    place.write("linux/drivers/net/mini/easy.h", EASY_H);
    place.write("linux/drivers/net/mini/easy_irq.c", PART);
    place.write("linux/drivers/net/mini/fast.c", XDP);
    place
}

#[test]
fn drivers_by_ease() {
    let told = place().run_untouched(&["napi-report", "linux", "--color", "never", "--verbose"]);
    insta::assert_snapshot!(told);
}

#[test]
fn programs_get_every_place() {
    let told = place().run_untouched(&["napi-report", "linux", "--json", "--limit", "1"]);
    let json = told.split_once("stdout:\n").expect("data").1;
    let json = json.split("stderr:\n").next().expect("data");
    let json: serde_json::Value =
        serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {told}"));
    assert_eq!(json["totals"]["drivers"], 2);
    assert_eq!(json["totals"]["refused"], 1);
    assert_eq!(json["drivers"].as_array().map(Vec::len), Some(1));
    let driver = &json["drivers"][0];
    assert_eq!(driver["name"], "easy");
    assert_eq!(driver["places"].as_array().map(Vec::len), Some(6));
    assert_eq!(driver["refused"].as_array().map(Vec::len), Some(0));
}

#[test]
fn only_some_files() {
    let told =
        place().run_untouched(&["napi-report", "linux", "--files", "drivers/net/mini/fast.c"]);
    assert!(
        told.contains("1 driver with NAPI") && !told.contains("easy"),
        "{told}"
    );
}

const E1000: &str = "linux/drivers/net/ethernet/intel/e1000/e1000_main.c";

#[test]
fn a_driver_of_an_unknown_shape_is_not_half_stripped() {
    let place = place();
    place.write(
        E1000,
        "void f(struct e1000_adapter *adapter)\n{\n\tnapi_enable(&adapter->napi);\n\tmini_poll_me(&adapter->napi);\n}\n",
    );
    let told = place.run_untouched(&["series", "linux", "-o", "out", "-r", "napi-e1000"]);
    assert!(told.starts_with("exit 1"), "{told}");
    assert!(
        told.contains("`napi` is still in drivers/net/ethernet/intel/e1000/e1000_main.c"),
        "{told}"
    );
}

#[test]
fn a_driver_that_needs_napi_is_refused() {
    let place = place();
    place.write(
        E1000,
        "void f(struct e1000_adapter *adapter)\n{\n\tnapi_enable(&adapter->napi);\n\txdp_do_flush();\n}\n",
    );
    let told = place.run(&["series", "linux", "-o", "out", "-r", "napi-e1000"]);
    assert!(
        told.contains("(`xdp_do_flush` at drivers/net/ethernet/intel/e1000/e1000_main.c:4)"),
        "{told}"
    );
    assert!(!place.path().join("out/0001").exists());
}
