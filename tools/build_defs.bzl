"""The project's C++ rules: one place for warnings, layering and test sizes."""

_FEATURES = ["layering_check"]

def rcproxy_cc_library(name, **kwargs):
    native.cc_library(name = name, features = _FEATURES, **kwargs)

def rcproxy_cc_binary(name, **kwargs):
    native.cc_binary(name = name, features = _FEATURES, **kwargs)

def rcproxy_cc_test(name, deps = [], size = "small", **kwargs):
    native.cc_test(
        name = name,
        size = size,
        features = _FEATURES,
        deps = deps + ["@com_google_googletest//:gtest_main"],
        **kwargs
    )

def rcproxy_cc_benchmark(name, deps = [], **kwargs):
    native.cc_binary(
        name = name,
        testonly = True,
        features = _FEATURES,
        tags = ["benchmark"],
        deps = deps + ["@com_github_google_benchmark//:benchmark_main"],
        **kwargs
    )

def rcproxy_cc_fuzz_test(name, srcs, deps = [], corpus = [], **kwargs):
    """A libFuzzer target. Without --config=fuzz it is an ordinary test that replays the committed corpus."""
    native.cc_test(
        name = name,
        size = "small",
        srcs = srcs,
        data = corpus,
        features = _FEATURES,
        args = select({
            "//tools:fuzz": [],
            "//conditions:default": ["$(locations %s)" % c for c in corpus],
        }),
        linkopts = select({
            "//tools:fuzz": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + select({
            "//tools:fuzz": [],
            "//conditions:default": ["//testing:fuzz_replay_main"],
        }),
        tags = ["fuzz"],
        **kwargs
    )
