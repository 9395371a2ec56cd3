"""LightGBM, XGBoost through onnxmltools, CatBoost through its own exporter."""
import tempfile

import catboost
import lightgbm
import numpy as np
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

import data
from cases_sklearn import binary, gaps, split
from harness import Case, add

OPSET = 15


def types(x):
    return [("X", FloatTensorType([None, x.shape[1]]))]


def build(make, xy, convert, labels, zipmap=True, **tol):
    def go():
        x, y, test = split(xy())
        m = make().fit(x, y)
        if labels:
            p = m.predict_proba(test)
            want = [m.predict(test), [dict(zip(m.classes_, q)) for q in p] if zipmap else p]
        else:
            want = [m.predict(test)]
        return Case(convert(m, x), {"X": test}, want, rtol=1e-3, atol=1e-4, **tol)

    return go


def lgbm(m, x):
    return onnxmltools.convert_lightgbm(m, initial_types=types(x), target_opset=OPSET)


def xgb(m, x):
    return onnxmltools.convert_xgboost(m, initial_types=types(x), target_opset=OPSET)


L, X, C = "LightGBM", "XGBoost", "CatBoost"
iris, digits, taxi, sound = data.iris, data.digits, data.taxi_numbers, data.sound_frames
quiet = {"verbose": -1, "n_estimators": 15, "min_child_samples": 5}
for name, make, xy, labels in [
    ("classifier", lambda: lightgbm.LGBMClassifier(**quiet), digits, True),
    ("classifier two", lambda: lightgbm.LGBMClassifier(**quiet), binary(iris), True),
    ("classifier gaps", lambda: lightgbm.LGBMClassifier(**quiet), gaps(sound), True),
    ("classifier dart", lambda: lightgbm.LGBMClassifier(boosting_type="dart", **quiet), iris, True),
    ("classifier forest", lambda: lightgbm.LGBMClassifier(
        boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, **quiet), iris, True),
    ("classifier multiclassova", lambda: lightgbm.LGBMClassifier(objective="multiclassova", **quiet), iris, True),
    ("regressor", lambda: lightgbm.LGBMRegressor(**quiet), taxi, False),
    ("regressor gaps", lambda: lightgbm.LGBMRegressor(**quiet), gaps(taxi), False),
    ("regressor poisson", lambda: lightgbm.LGBMRegressor(objective="poisson", **quiet), taxi, False),
    ("regressor quantile", lambda: lightgbm.LGBMRegressor(objective="quantile", alpha=0.9, **quiet), taxi, False),
]:
    add(L, name, build(make, xy, lgbm, labels))
few = {"n_estimators": 15, "max_depth": 4, "n_jobs": 1}
for name, make, xy, labels in [
    ("classifier", lambda: xgboost.XGBClassifier(**few), digits, True),
    ("classifier two", lambda: xgboost.XGBClassifier(**few), binary(iris), True),
    ("classifier gaps", lambda: xgboost.XGBClassifier(**few), gaps(sound), True),
    ("classifier dart", lambda: xgboost.XGBClassifier(booster="dart", **few), iris, True),
    ("random forest", lambda: xgboost.XGBRFClassifier(**few), iris, True),
    ("regressor", lambda: xgboost.XGBRegressor(**few), taxi, False),
    ("regressor gaps", lambda: xgboost.XGBRegressor(**few), gaps(taxi), False),
    ("regressor base score", lambda: xgboost.XGBRegressor(base_score=3.0, **few), taxi, False),
    ("regressor poisson", lambda: xgboost.XGBRegressor(objective="count:poisson", **few), taxi, False),
    ("regressor logistic", lambda: xgboost.XGBRegressor(objective="reg:logistic", **few),
     lambda: (sound()[0], sound()[1] * 0.8 + 0.1), False),
    ("forest regressor", lambda: xgboost.XGBRFRegressor(**few), taxi, False),
]:
    add(X, name, build(make, xy, xgb, labels, zipmap=False))


def cat_onnx(m, _):
    with tempfile.NamedTemporaryFile(suffix=".onnx") as f:
        m.save_model(f.name, format="onnx")
        return open(f.name, "rb").read()


def cat(make, xy, labels):
    def go():
        x, y, test = split(xy())
        m = make().fit(x, y)
        if labels:
            want = [m.predict(test).reshape(-1), [dict(zip(m.classes_, p)) for p in m.predict_proba(test)]]
        else:
            want = [m.predict(test)]
        return Case(cat_onnx(m, x), {"features": test}, want, rtol=1e-3, atol=1e-3)

    return go


some = {"iterations": 20, "depth": 4, "verbose": False, "thread_count": 2, "allow_writing_files": False}
add(C, "classifier", cat(lambda: catboost.CatBoostClassifier(**some), digits, True))
add(C, "classifier two", cat(lambda: catboost.CatBoostClassifier(**some), binary(iris), True))
add(C, "regressor", cat(lambda: catboost.CatBoostRegressor(**some), taxi, False))
add(C, "regressor gaps", cat(lambda: catboost.CatBoostRegressor(**some), gaps(taxi), False))
