"""
What TensorFlow Data Validation finds in two CSV files of the same columns, as JSON, to hold Stork's figures to.

Runs in an environment of its own: `pip install --no-deps tensorflow-data-validation==1.16.1`, and what its import
asks for (TensorFlow 2.16, pyarrow 10, Beam 2.59). `python tests/oracles/tfdv.py BEFORE AFTER SCHEMA > FILE`; SCHEMA is
a TFMD schema as protobuf text, with a comparator for each feature that is compared.
"""

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from google.protobuf import json_format, text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

LISTED = 100  # values with their counts


def describe(path: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    options = tfdv.StatsOptions(num_histogram_buckets=10, num_top_values=LISTED, num_rank_histogram_buckets=LISTED)
    return tfdv.generate_statistics_from_csv(path, stats_options=options)


def tell_feature(feature: Any) -> dict[str, Any]:
    """What is compared: counts, moments, the histogram, the values."""
    numbers, strings = feature.num_stats, feature.string_stats
    common = (numbers if feature.HasField("num_stats") else strings).common_stats
    told: dict[str, Any] = {"known": common.num_non_missing, "missing": common.num_missing}
    if feature.HasField("num_stats"):
        standard = next(h for h in numbers.histograms if h.type == statistics_pb2.Histogram.STANDARD)
        told |= {name: getattr(numbers, name) for name in ("min", "max", "mean", "std_dev", "median")}
        told["histogram"] = [[b.low_value, b.high_value, b.sample_count] for b in standard.buckets]
    else:
        told |= {"unique": strings.unique, "values": {v.value: v.frequency for v in strings.top_values}}
    return told


def tell(before: str, after: str, schema: schema_pb2.Schema) -> dict[str, Any]:
    statistics = {name: describe(path) for name, path in (("before", before), ("after", after))}
    found: anomalies_pb2.Anomalies = tfdv.validate_statistics(
        statistics["after"], schema, previous_statistics=statistics["before"]
    )
    return {
        "made_with": f"tensorflow-data-validation {tfdv.__version__}",
        "statistics": {
            side: {feature.path.step[0]: tell_feature(feature) for feature in made.datasets[0].features}
            for side, made in statistics.items()
        },
        "measured": {
            info.path.step[0]: {
                anomalies_pb2.DriftSkewInfo.Measurement.Type.Name(m.type): m.value for m in info.drift_measurements
            }
            for info in found.drift_skew_info
        },
        "anomalies": {
            name: [json_format.MessageToDict(reason)["type"] for reason in info.reason]
            for name, info in found.anomaly_info.items()
        },
    }


if __name__ == "__main__":
    given = text_format.Parse(Path(sys.argv[3]).read_text(), schema_pb2.Schema())
    print(json.dumps(tell(sys.argv[1], sys.argv[2], given), indent=1))
