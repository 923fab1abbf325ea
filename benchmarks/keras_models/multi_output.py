import keras
from keras import layers

title_input = keras.Input(shape=(None,), dtype="int32", name="title")
body_input = keras.Input(shape=(None,), dtype="int32", name="body")
tags_input = keras.Input(shape=(12,), name="tags")

title_features = layers.Embedding(10000, 64)(title_input)
title_features = layers.LSTM(128)(title_features)
body_features = layers.Embedding(10000, 64)(body_input)
body_features = layers.LSTM(32)(body_features)
x = layers.Concatenate()([title_features, body_features, tags_input])

priority = layers.Dense(1, activation="sigmoid", name="priority")(x)
department = layers.Dense(4, activation="softmax", name="department")(x)
model = keras.Model(
    inputs=[title_input, body_input, tags_input],
    outputs={"priority": priority, "department": department},
)
model.compile(
    optimizer="rmsprop",
    loss={"priority": "binary_crossentropy", "department": "categorical_crossentropy"},
)
