//! A test as `floodmark shrink --as-test` writes it, so that it is known to compile.

/// Once, `errors` spoke up in this run.
/// - at 1.900 s: all requests to the object store of "/data/" fail for 320 ms, at most 20
#[test]
fn upload_errors_0_errors() {
    let case = r##"{
  "scenario": "upload_errors",
  "seed": 0,
  "shape": {
    "worker_count": 1,
    "parallelism": null,
    "records": [
      0,
      600
    ]
  },
  "faults": [
    {
      "when": {
        "At": {
          "secs": 1,
          "nanos": 900000000
        }
      },
      "what": {
        "StoreError": {
          "store": {
            "node": null,
            "operation": null,
            "key_part": "/data/"
          },
          "effect": "Before",
          "per_mille": 1000,
          "limit": 20,
          "lasts": {
            "secs": 0,
            "nanos": 320000000
          }
        }
      }
    }
  ],
  "tape": [],
  "is_plain": true,
  "check": "errors",
  "hash": "5a2a095b3ad908d7b53c4a9f992799a2"
}"##;
    let case = floodmark_scenarios::ReplayFile::parse(case).expect("it is a case");
    let report = case.replay().expect("the scenario exists");
    assert!(report.failure.is_none(), "{report}");
}
